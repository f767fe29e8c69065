import type { RunMessage } from '../durable-objects/types.ts';
import { BackendWarming } from './attention/endpoint/errors.ts';
import { type Env, type Reader, sessionOf } from './env.ts';
import { logError } from './middleware/errors.ts';
import { runQuestion } from './scan/run.ts';

/** Seconds before a run is tried again after its driver failed. */
const RETRY_S = 5;
/** Most seconds between two looks at a model that is starting, unless it asks for more: 13 looks in 5 minutes. */
const WARMING_S = 30;

/** Goes on with runs that have lost their listener. Messages may come twice or late: the lease decides who drives. */
export async function consume(batch: MessageBatch<RunMessage>, env: Env, reader: Reader): Promise<void> {
  for (const message of batch.messages) {
    const { session, question } = message.body;
    try {
      const run = { session: sessionOf(env, session), question, backend: reader, answerer: reader };
      const silent = { onEvent: () => {}, onNotice: () => {} };
      await runQuestion({ ...run, ...silent, signal: new AbortController().signal });
      message.ack();
    } catch (error) {
      const warming = error instanceof BackendWarming;
      if (!warming) logError(error);
      const asked = warming ? error.retryAfterSeconds : RETRY_S;
      // Each try may meet an isolate that knows nothing of the last: the message counts for all of them.
      const least = warming ? Math.min(WARMING_S, 2 ** message.attempts) : 0;
      message.retry({ delaySeconds: Math.max(asked, least) });
    }
  }
}
