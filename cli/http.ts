import { request } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream as NodeStream } from 'node:stream/web';

export type Fetch = (path: string, init?: RequestInit) => Promise<Response>;

/**
 * A fetch for one server over node:http. Node's own fetch keeps every byte of a streamed body in memory until the call ends; this one
 * holds a chunk at a time.
 */
export const fetchFrom =
  (base: URL): Fetch =>
  (path, init) =>
    new Promise((resolve, reject) => {
      const headers = Object.fromEntries(new Headers(init?.headers));
      const outgoing = request(
        new URL(path, base),
        { method: init?.method ?? 'GET', headers },
        (incoming) => {
          const fields = Object.entries(incoming.headers).map(
            ([name, value]) => [name, String(value)] as [string, string],
          );
          const body = Readable.toWeb(incoming) as unknown as ReadableStream;
          resolve(new Response(body, { status: incoming.statusCode!, headers: fields }));
        },
      );
      outgoing.on('error', reject);
      const body = init?.body;
      if (body instanceof ReadableStream) {
        // A server that refuses the body answers and closes: the answer says why, the broken pipe does not.
        pipeline(Readable.fromWeb(body as unknown as NodeStream), outgoing).catch(() => {});
      } else outgoing.end(body ?? undefined);
    });
