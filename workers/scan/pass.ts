import { type Scan, type ScanState, scans, type Window } from '../../shared/scan/index.ts';
import { joined, type Reading } from '../../shared/scan/second.ts';
import { RoundInput } from './input.ts';
import type { Ledger } from './ledger.ts';
import { type Turn, TurnOver } from './turn.ts';

/**
 * One pass over the text, the first or the second, from where the ledger stands; then the answer from what it has left.
 *
 * @throws TurnOver
 */
export async function pass(turn: Turn): Promise<Reading> {
  await scan(turn);
  return answer(turn);
}

/** The loop: plan windows, score them, absorb the scores in order, until the scan says that it is done. */
async function scan({ run, question, backend, ledger, atOnce, ends }: Turn): Promise<void> {
  const { mode } = ledger.state.scan;
  const stepper = scans[mode];
  const asked = { question, ...foundBefore(ledger) };
  // A window of a sequential scan carries what the one before has left.
  const most = mode === 'tournament' ? atOnce : 1;
  let input = new RoundInput(run.session, backend, run.question, ledger.state);
  while (!ledger.state.scan.done) {
    if (run.signal.aborted || Date.now() > ends) {
      await ledger.commit();
      throw new TurnOver();
    }
    const next = await planned(stepper, ledger.state.scan, input, most);
    if (!Array.isArray(next)) {
      await ledger.advance(next);
      input = new RoundInput(run.session, backend, run.question, ledger.state);
      continue;
    }
    const texts = next.map(({ sentences }) => ({ sentences: sentences.map((s) => s.text) }));
    const { windows } = await backend.score({ ...asked, windows: texts });
    for (const [i, window] of next.entries()) {
      input.take(window.taken);
      await ledger.scored(window, stepper.absorb(ledger.state.scan, window, windows[i]!));
    }
  }
}

/** The next windows, `most` of them where the input has so many, or the state that follows when the round is over. */
async function planned(
  stepper: Scan,
  state: ScanState,
  input: RoundInput,
  most: number,
): Promise<Window[] | ScanState> {
  const windows: Window[] = [];
  let taken = 0;
  while (windows.length < most) {
    const plan = stepper.plan(state, input.ahead.slice(taken), input.complete);
    if (plan.kind === 'more') {
      await input.more();
    } else if (plan.kind === 'window') {
      windows.push(plan.window);
      taken += plan.window.taken;
    } else if (windows.length === 0) {
      return plan.state;
    } else {
      break;
    }
  }
  return windows;
}

async function answer({ run, question, backend, ledger }: Turn): Promise<Reading> {
  const { first, scan } = ledger.state;
  const evidence = first ? joined(first.found, scan.cache) : scan.cache;
  let shown = 0;
  const answer = await backend.answer({
    question,
    ...foundBefore(ledger),
    evidence: evidence.map((s) => s.text),
    ...(scan.lexical && { counts: scan.lexical }),
    signal: run.signal,
    onDelta: (delta) => {
      // `at` tells a listener that the answer begins anew when another driver writes it again.
      run.onNotice({ type: 'answer.delta', data: { at: shown, text: delta } });
      shown += delta.length;
    },
  });
  return { answer, evidence };
}

const foundBefore = ({ state: { first } }: Ledger): { found?: string } =>
  first ? { found: first.found.text } : {};
