import { InferenceClient, setLogger } from '@huggingface/inference';
import { BackendProtocol } from './errors.ts';
import { failed, type Reply } from './failure.ts';
import { type Connection, noting } from './http.ts';

/**
 * The only file that knows @huggingface/inference. `InferenceClient.request` is deprecated but the sole call for a custom handler's own
 * JSON; when it goes, this file changes alone.
 */

// A type, not an interface: the library's messages want an index signature.
export type ChatMessage = { role: 'system' | 'user' | 'assistant'; content: string };

// The library warns of the deprecation at every call, and its other messages may hold bodies.
const silent = () => {};
setLogger({ debug: silent, info: silent, warn: silent, error: silent, log: silent });

/**
 * Posts `body` as JSON, once.
 *
 * @throws CallFailure, never the library's own errors: those carry the request's body
 */
export async function post(connection: Connection, body: object, signal: AbortSignal): Promise<unknown> {
  const reply: Reply = {};
  try {
    // A client a call: its fetch notes the headers that the library's errors leave out.
    const client = new InferenceClient(connection.token ?? '', { endpointUrl: connection.url });
    // The library would repeat a 503 without pause or end.
    const options = { retry_on_error: false, fetch: noting(connection, reply), signal };
    const data: unknown = await client.request({ ...body } as { inputs: unknown }, options);
    // Anything but JSON comes back as a Blob.
    if (data instanceof Blob) throw new BackendProtocol('it is not JSON');
    return data;
  } catch (error) {
    const reported = reportedError(error, reply);
    if (reported !== undefined) return reported;
    throw failed(error, reply, signal);
  }
}

/** The JSON of a final refusal by server.py, which says with a status what the handler says inside a 200. */
function reportedError(error: unknown, { status }: Reply): unknown {
  if (status === undefined || status === 401 || status === 403) return undefined;
  const body = (error as { httpResponse?: { body?: unknown } }).httpResponse?.body;
  const reported = (body as { error?: { retryable?: unknown } } | undefined)?.error;
  return reported?.retryable === false ? body : undefined;
}

/**
 * One chat completion as pieces of text. `connection.url` is an OpenAI-compatible server (with or without /v1/chat/completions);
 * without one the model is reached through Hugging Face's router.
 *
 * @throws CallFailure
 */
export async function* chat(
  connection: Omit<Connection, 'url'> & { url?: string | undefined },
  request: { model?: string | undefined; messages: ChatMessage[]; max_tokens: number },
  signal: AbortSignal,
): AsyncGenerator<string> {
  const reply: Reply = {};
  try {
    const client = new InferenceClient(connection.token ?? '', {
      ...(connection.url === undefined ? {} : { endpointUrl: connection.url }),
    });
    const { model, ...rest } = request;
    const args = { ...rest, temperature: 0, ...(model === undefined ? {} : { model }) };
    const options = { retry_on_error: false, fetch: noting(connection, reply), signal };
    for await (const chunk of client.chatCompletionStream(args, options)) {
      const piece = chunk.choices?.[0]?.delta?.content;
      if (typeof piece === 'string' && piece !== '') yield piece;
    }
  } catch (error) {
    throw failed(error, reply, signal);
  }
}
