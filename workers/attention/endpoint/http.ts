import { failed, type Reply } from './failure.ts';

export interface Connection {
  url: string;
  token?: string | undefined;
  /** The platform's own by default. */
  fetch?: typeof fetch | undefined;
}

/** `fetch` that writes down what decides on a retry. */
export const noting =
  (connection: { fetch?: typeof fetch | undefined }, reply: Reply): typeof fetch =>
  async (input: RequestInfo | URL, init?: RequestInit) => {
    // Called unbound: workerd refuses a fetch whose `this` is another object.
    const send = connection.fetch ?? globalThis.fetch;
    const response = await send(input, init);
    reply.status = response.status;
    reply.retryAfter = response.headers.get('retry-after');
    reply.html = response.headers.get('content-type')?.startsWith('text/html') ?? false;
    return response;
  };

/**
 * Reads a JSON resource, once: the one call that the client library has no verb for.
 *
 * @throws CallFailure
 */
export async function get(connection: Connection, signal: AbortSignal): Promise<unknown> {
  const reply: Reply = {};
  try {
    const headers = connection.token ? { authorization: `Bearer ${connection.token}` } : {};
    const response = await noting(connection, reply)(connection.url, { headers, signal });
    if (response.ok) return await response.json();
    await response.body?.cancel();
  } catch (error) {
    throw failed(error, reply, signal);
  }
  throw failed(undefined, reply, signal);
}
