import type { Answerer, AttentionBackend } from '../shared/attention.ts';
import { configuredChat, createChatAnswerer } from './answer/chat/index.ts';
import { createEmbeddedReader } from './attention/embedded/index.ts';
import { createEndpointBackend } from './attention/endpoint/index.ts';
import type { Env, Reader } from './env.ts';

let reader: Reader | undefined;

/**
 * The reader that the variables ask for: an endpoint where its URL is set, the embedded model elsewhere; one for attention and another
 * for answers is fine. One an isolate: a loaded model and an endpoint's back-off and call budget are its state.
 */
export function readerOf(env: Env): Reader {
  reader ??= compose(env);
  return reader;
}

function compose(env: Env): Reader {
  const embedded = createEmbeddedReader(env.ASSETS);
  const attention: AttentionBackend = env.ATTENTION_URL
    ? createEndpointBackend({
        url: env.ATTENTION_URL,
        embedded,
        // A run tells its listener that the model is starting, and rests: it does not wait in here.
        warmingPatienceMs: 0,
        ...(env.ATTENTION_TOKEN && { token: env.ATTENTION_TOKEN }),
      })
    : embedded;
  const model = configuredChat(env);
  const answerer: Answerer = model ? createChatAnswerer({ warmingPatienceMs: 0, model }) : embedded;
  return {
    describe: () => attention.describe(),
    countTokens: (sentences) => attention.countTokens(sentences),
    score: (request) => attention.score(request),
    answer: (request) => answerer.answer(request),
  };
}
