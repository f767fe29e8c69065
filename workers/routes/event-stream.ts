import type { Context } from 'hono';
import type { StoredEvent } from '../../durable-objects/types.ts';
import type { AppEnv } from '../env.ts';
import { logError } from '../middleware/errors.ts';
import type { Notice, Run } from '../scan/turn.ts';

/** A comment now and then, so that no proxy takes a slow backend for a dead connection. */
const KEEP_ALIVE_MS = 15_000;

/**
 * Server-sent events of a run. The listener's leaving aborts `signal`; `drive` then still hands the run over.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export function eventStream(
  c: Context<AppEnv>,
  drive: (listener: Pick<Run, 'signal' | 'onEvent' | 'onNotice'>, last: number) => Promise<void>,
  last: number,
): Response {
  const gone = new AbortController();
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const send = (text: string) => {
        if (!gone.signal.aborted) controller.enqueue(encoder.encode(text));
      };
      const alive = setInterval(() => send(':\n\n'), KEEP_ALIVE_MS);
      const onEvent = ({ id, type, data }: StoredEvent) =>
        send(`id: ${id}\nevent: ${type}\ndata: ${data}\n\n`);
      // Without an id: the client's Last-Event-ID stays at what is stored.
      const onNotice = ({ type, data }: Notice) => send(`event: ${type}\ndata: ${JSON.stringify(data)}\n\n`);
      const done = drive({ signal: gone.signal, onEvent, onNotice }, last)
        // Nothing of the error goes out: the client sees the stream end early and resumes with Last-Event-ID.
        .catch(logError)
        .finally(() => {
          clearInterval(alive);
          if (!gone.signal.aborted) controller.close();
        });
      c.executionCtx.waitUntil(done);
    },
    cancel: () => gone.abort(),
  });
  c.req.raw.signal.addEventListener('abort', () => gone.abort());
  return c.body(body, 200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
}
