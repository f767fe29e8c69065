import { createParser } from 'eventsource-parser';
import { CallFailure } from '../../attention/endpoint/failure.ts';
import { type ChatMessage, chat } from '../../attention/endpoint/huggingface.ts';

/** Anything that continues a conversation, as pieces of text. Throws CallFailure. */
export type ChatModel = (messages: ChatMessage[], signal: AbortSignal) => AsyncIterable<string>;

// Room for a paragraph with its citations; an answer is not an essay.
const MAX_TOKENS = 512;

/**
 * Hugging Face chat completion: through the router for a model id, or at any OpenAI-compatible server given by its URL.
 */
export function huggingFaceChat(options: {
  url?: string | undefined;
  model?: string | undefined;
  token?: string | undefined;
  fetch?: typeof fetch | undefined;
  maxTokens?: number;
}): ChatModel {
  const { url, model, token, fetch, maxTokens = MAX_TOKENS } = options;
  if (url === undefined && model === undefined) throw new TypeError('a URL, a model, or both are needed');
  return (messages, signal) =>
    chat({ url, token, fetch }, { model, messages, max_tokens: maxTokens }, signal);
}

/** The part of the Workers AI binding that is used. */
export interface WorkersAi {
  run(model: string, inputs: object, options?: { signal?: AbortSignal }): Promise<unknown>;
}

/** A text model of Workers AI, such as @cf/meta/llama-3.3-70b-instruct-fp8-fast. */
export function workersAiChat(options: { ai: WorkersAi; model: string; maxTokens?: number }): ChatModel {
  const { ai, model, maxTokens = MAX_TOKENS } = options;
  return async function* (messages, signal) {
    try {
      const inputs = { messages, stream: true, max_tokens: maxTokens, temperature: 0 };
      const body = await ai.run(model, inputs, { signal });
      if (!(body instanceof ReadableStream)) throw new CallFailure('protocol', 'it does not stream');
      yield* pieces(body, signal);
    } catch (error) {
      if (error instanceof CallFailure) throw error;
      // Their messages may quote the prompt.
      throw new CallFailure(
        'unreachable',
        signal.aborted ? 'it did not answer in time' : 'Workers AI failed',
      );
    }
  };
}

/**
 * The chat model that the variables ask for; none: undefined. Ids of Workers AI begin with @.
 *
 * @throws TypeError when the model is one of Workers AI and its binding is not there
 */
export function configuredChat(variables: {
  ANSWER_URL?: string | undefined;
  ANSWER_MODEL?: string | undefined;
  ANSWER_TOKEN?: string | undefined;
  AI?: WorkersAi | undefined;
}): ChatModel | undefined {
  const { ANSWER_URL: url, ANSWER_MODEL: model, ANSWER_TOKEN: token, AI: ai } = variables;
  if (!url && !model) return undefined;
  if (url || !model?.startsWith('@')) {
    return huggingFaceChat({ url: url || undefined, model: model || undefined, token: token || undefined });
  }
  if (!ai) throw new TypeError(`${model} is on Workers AI: wrangler.toml needs its binding, AI`);
  return workersAiChat({ ai, model });
}

/** The text of a server-sent event stream: Workers AI's `response`, or OpenAI's `choices`, which newer models give. */
async function* pieces(body: ReadableStream<Uint8Array>, signal: AbortSignal): AsyncGenerator<string> {
  const events: string[] = [];
  const parser = createParser({ onEvent: (event) => events.push(event.data) });
  const decoder = new TextDecoder();
  for await (const chunk of body) {
    signal.throwIfAborted();
    parser.feed(decoder.decode(chunk, { stream: true }));
    for (const data of events.splice(0)) {
      if (data === '[DONE]') return;
      const { response, choices } = JSON.parse(data);
      const piece = response ?? choices?.[0]?.delta?.content;
      if (typeof piece === 'string' && piece !== '') yield piece;
    }
  }
}
