import type { StoredEvent } from '../../durable-objects/types.ts';
import { BackendWarming } from '../attention/endpoint/errors.ts';
import { type RunOutcome, runQuestion } from './run.ts';
import type { Run } from './turn.ts';

/** How often a listener looks for events of a run that another drives. */
const POLL_MS = 300;

/**
 * Tells the events of a question after `last`, and drives the run itself whenever nobody else does. Returns when the run is over or
 * the listener is gone.
 */
export async function follow(run: Run, last: number): Promise<void> {
  let seen = last;
  const tell = (event: StoredEvent) => {
    if (event.id <= seen) return;
    seen = event.id;
    run.onEvent(event);
  };
  while (!run.signal.aborted) {
    const page = await run.session.events(run.question, seen);
    if (!page) return;
    page.events.forEach(tell);
    if (page.status !== 'running') return;
    const wait = await turn({ ...run, onEvent: tell });
    if (wait > 0) await pause(wait, run.signal);
  }
}

/** Drives as far as it goes; returns the milliseconds until it is worth looking again. */
async function turn(run: Run): Promise<number> {
  try {
    const outcome: RunOutcome = await runQuestion(run);
    return outcome === 'held' || outcome === 'handed-over' ? POLL_MS : 0;
  } catch (error) {
    if (error instanceof BackendWarming) return error.retryAfterSeconds * 1000;
    throw error;
  }
}

/** Ends early when the listener leaves: the session's alarm then looks after a run that rests. */
const pause = (milliseconds: number, signal: AbortSignal): Promise<void> =>
  new Promise((wake) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      wake();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener('abort', done);
  });
