import type { RunMessage } from '../durable-objects/types.ts';
import { type Env, type Reader, sessionOf } from './env.ts';
import { logError } from './middleware/errors.ts';
import { runQuestion } from './scan/run.ts';

/** Seconds before a run is tried again after its driver failed. */
const RETRY_S = 5;

/** Goes on with runs that have lost their listener. Messages may come twice or late: the lease decides who drives. */
export async function consume(batch: MessageBatch<RunMessage>, env: Env, reader: Reader): Promise<void> {
  for (const message of batch.messages) {
    const { session, question } = message.body;
    try {
      const run = { session: sessionOf(env, session), question, backend: reader, answerer: reader };
      await runQuestion({ ...run, signal: new AbortController().signal, onEvent: () => {} });
      message.ack();
    } catch (error) {
      logError(error);
      message.retry({ delaySeconds: RETRY_S });
    }
  }
}
