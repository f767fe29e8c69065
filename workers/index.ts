import type { RunMessage } from '../durable-objects/types.ts';
import { createApp } from './app.ts';
import type { Env } from './env.ts';
import { consume } from './queue.ts';
import { readerOf } from './reader.ts';

export { Session } from '../durable-objects/session.ts';

const app = createApp({ reader: readerOf });

export default {
  fetch: app.fetch,
  queue: (batch, env) => consume(batch, env, readerOf(env)),
} satisfies ExportedHandler<Env, RunMessage>;
