import type { RunMessage } from '../../durable-objects/types.ts';
import { createApp } from '../../workers/app.ts';
import type { Env } from '../../workers/env.ts';
import { consume } from '../../workers/queue.ts';
import { knobs } from './overlap.ts';

export { Session } from '../../durable-objects/session.ts';

/** The product's Worker over the small reader: importing the real one's wasm costs seconds for each test file. */
export default {
  fetch: createApp({ reader: () => knobs.reader }).fetch,
  queue: (batch, env) => consume(batch, env, knobs.reader),
} satisfies ExportedHandler<Env, RunMessage>;
