import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the stand-in endpoint got. */
export interface Received {
  method: string;
  path: string;
  authorization: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever was sent.
  body: any;
}

/** Answers one request; the server replays them in order and keeps to the last. */
export type Reply = (response: ServerResponse, received: Received) => void;

export const json =
  (body: unknown, status = 200, headers: Record<string, string> = {}): Reply =>
  (response) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));

export const text =
  (body: string, type: string, status = 200): Reply =>
  (response) =>
    response.writeHead(status, { 'content-type': type }).end(body);

export const stall: Reply = () => {};

export const reset: Reply = (response) => response.socket!.resetAndDestroy();

/** A 200 whose body ends before its length does. */
export const cut: Reply = (response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
  response.write('{"windows":[{"sent');
  setTimeout(() => response.socket!.destroy(), 5);
};

/** Each sentence gets one value a word: its length, as float16. The sink is 0.5. */
export const scores: Reply = (response, { body }) => {
  const { windows } = body.inputs ?? body;
  const reply = (windows as { sentences: string[] }[]).map(({ sentences }) => ({
    sentences: sentences.map((s) => ({ importance: halves(s.split(' ').map((word) => word.length)) })),
    sink: 0.5,
  }));
  json({ windows: reply })(response, { method: '', path: '', authorization: undefined, body });
};

/** base64 of small whole numbers as float16, made from the format's definition. */
function halves(values: number[]): string {
  const bits = values.map((v) => {
    if (v === 0) return 0;
    const exponent = Math.floor(Math.log2(v));
    return ((exponent + 15) << 10) | Math.round((v / 2 ** exponent - 1) * 1024);
  });
  return Buffer.from(Uint16Array.from(bits).buffer).toString('base64');
}

export const description = json({ model: 'a/model', max_window_tokens: 4096, layers: 24, heads: 14 });

/** Describes itself like inference/, and otherwise replays `replies`. */
export async function serve(
  ...replies: Reply[]
): Promise<{ url: string; received: Received[]; close: () => void }> {
  const received: Received[] = [];
  const server = createServer(async (request: IncomingMessage, response) => {
    let raw = '';
    for await (const chunk of request) raw += chunk;
    const { method = '', url: path = '', headers } = request;
    const call = { method, path, authorization: headers.authorization, body: raw && JSON.parse(raw) };
    if (path.endsWith('/describe') || call.body.inputs?.task === 'describe')
      return description(response, call);
    const reply = replies[Math.min(received.push(call), replies.length) - 1]!;
    reply(response, call);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${port}`, received, close };
}
