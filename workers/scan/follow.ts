import type { StoredEvent } from '../../durable-objects/types.ts';
import { type Run, runQuestion } from './run.ts';

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
    const outcome = await runQuestion({ ...run, onEvent: tell });
    if (outcome === 'held' || outcome === 'handed-over')
      await new Promise((wake) => setTimeout(wake, POLL_MS));
  }
}
