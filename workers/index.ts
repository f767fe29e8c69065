import type { RunMessage } from '../durable-objects/types.ts';
import { createApp } from './app.ts';
import { createEmbeddedReader } from './attention/embedded/index.ts';
import type { Env, Reader } from './env.ts';
import { consume } from './queue.ts';

export { Session } from '../durable-objects/session.ts';

let embedded: Reader | undefined;
/** One reader an isolate: its model stays loaded between requests. */
function reader(env: Env): Reader {
  embedded ??= createEmbeddedReader(env.ASSETS);
  return embedded;
}

const app = createApp({ reader });

export default {
  fetch: app.fetch,
  queue: (batch, env) => consume(batch, env, reader(env)),
} satisfies ExportedHandler<Env, RunMessage>;
