import type {
  AskResult,
  Claim,
  Commit,
  RunState,
  SessionApi,
  StoredEvent,
} from '../../durable-objects/types.ts';
import type { Answerer, AttentionBackend, BackendDescription, ScanSettings } from '../../shared/attention.ts';
import { type Scan, type ScanState, scans, type Window } from '../../shared/scan/index.ts';
import type { BackendWarming } from '../attention/endpoint/errors.ts';
import { logError } from '../middleware/errors.ts';
import { cite } from './cite.ts';
import { BackendFailed, guarded, ModelChanged, problemOf, warmingOf } from './failure.ts';
import { RoundInput } from './input.ts';
import { evidenceOf, LeaseLost, Ledger } from './ledger.ts';

/** One driver's turn, under the platform's 5 minutes of CPU a request; the queue takes the run on. */
export const TURN_MS = 240_000;
/** Renewal while a backend takes its time, such as a GPU that starts; a third of the lease. */
const RENEW_MS = 5_000;

/** What only who listens now is told: it is not stored and has no number, and `answer.completed` holds the whole. */
export interface Notice {
  type: 'backend.warming' | 'answer.delta';
  data: object;
}

export interface Run {
  session: SessionApi;
  question: string;
  backend: AttentionBackend;
  answerer: Answerer;
  /** Aborted when nobody listens any more: the queue goes on. */
  signal: AbortSignal;
  onEvent: (event: StoredEvent) => void;
  onNotice: (notice: Notice) => void;
}

type Claimed = Extract<Claim, { kind: 'claimed' }>;

/**
 * `completed` or `failed`: the run is over. `held`: another driver has it. `over`: it was over before. `handed-over`: this driver's
 * turn has ended, the queue goes on.
 */
export type RunOutcome = 'completed' | 'failed' | 'held' | 'over' | 'handed-over';

class TurnOver extends Error {}

/** The model is starting: the run rests, and whoever drove it comes again. */
class Resting extends Error {
  readonly until: BackendWarming;

  constructor(until: BackendWarming) {
    super('the model is starting');
    this.until = until;
  }
}

/**
 * Drives a question's run from its stored cursor to the answer, committing as it goes. May die at any point: the next driver goes on
 * from the last commit, and evidence and answer come out the same.
 *
 * @throws BackendWarming when the model is starting; the lease is given back, and the caller drives again after `retryAfterSeconds`
 */
export async function runQuestion(run: Run): Promise<RunOutcome> {
  const claim = await run.session.claim(run.question);
  if (claim.kind !== 'claimed') return claim.kind;
  const renewal = setInterval(() => run.session.renew(run.question, claim.lease).catch(logError), RENEW_MS);
  try {
    return await drive(run, claim);
  } catch (error) {
    if (error instanceof LeaseLost) return 'held';
    if (error instanceof Resting) {
      const { retryAfterSeconds } = error.until;
      await run.session.rest(run.question, claim.lease, retryAfterSeconds * 1000);
      run.onNotice({ type: 'backend.warming', data: { retry_after_seconds: retryAfterSeconds } });
      throw error.until;
    }
    if (!(error instanceof TurnOver)) throw error;
    await run.session.handOver(run.question, claim.lease);
    return 'handed-over';
  } finally {
    clearInterval(renewal);
  }
}

async function drive(run: Run, claim: Claimed): Promise<RunOutcome> {
  const backend = guarded(run.backend, run.answerer);
  let ledger: Ledger | null = null;
  try {
    const description = await backend.describe();
    ledger = await begin(run, claim, description);
    await scan(run, claim.question.question, backend, ledger, description.windows_at_once ?? 1);
    const { result, relevance } = await answer(run, claim, backend, ledger.state);
    if (relevance) ledger.weighed(relevance);
    await ledger.commit(
      [
        { type: 'evidence.updated', data: { evidence: evidenceOf(ledger.state) } },
        { type: 'answer.completed', data: { question: run.question, ...result } },
      ],
      { status: 'completed', result },
    );
    return 'completed';
  } catch (error) {
    const problem = problemOf(error);
    if (!problem) throw error;
    const warming = warmingOf(error, claim.question.created);
    // A backend call that broke because the client left is no failure of the run.
    const left = run.signal.aborted && error instanceof BackendFailed;
    if (left || warming) {
      await ledger?.commit();
      throw left ? new TurnOver() : new Resting(warming!);
    }
    if (error instanceof BackendFailed) logError(error.cause);
    const end = { status: 'failed', result: problem } as const;
    const failed = { type: 'run.failed', data: problem } as const;
    if (ledger) await ledger.commit([failed], end);
    else await failEarly(run, claim, failed, end);
    return 'failed';
  }
}

/** The run ends before this driver has taken up its state, which stays as it is. */
async function failEarly(
  run: Run,
  { lease, version, question }: Claimed,
  event: Commit['events'][number],
  end: Commit['end'],
): Promise<void> {
  const { id, state } = question;
  const stored = await run.session.commit({
    question: id,
    lease,
    version,
    state,
    survivors: [],
    events: [event],
    ...(end && { end }),
  });
  if (stored === null) throw new LeaseLost();
  stored.forEach(run.onEvent);
}

/**
 * The stored state, or a fresh one that is stored at once.
 *
 * @throws ModelChanged
 */
async function begin(run: Run, claim: Claimed, { model, settings }: BackendDescription): Promise<Ledger> {
  const { question } = claim;
  if (question.state) {
    const { model: before, scan } = question.state;
    if (model !== before || !sameSettings(settings, scan.settings)) throw new ModelChanged();
    return new Ledger(run.session, claim, question.state, run.onEvent);
  }
  const state: RunState = {
    scan: scans[question.mode].start(settings, question.question),
    model,
    read: { sentences: 0, bytes: 0 },
    input: question.input,
    round_bytes: 0,
    survivors: { sentences: 0, bytes: 0 },
  };
  const ledger = new Ledger(run.session, claim, state, run.onEvent);
  const { id, mode, input } = question;
  await ledger.commit([
    {
      type: 'run.started',
      data: { question: id, mode, model, sentences: input.sentences, bytes: input.bytes },
    },
  ]);
  return ledger;
}

/** Whether every setting has the same value, whatever their order in a stored object. */
const sameSettings = (a: ScanSettings, b: ScanSettings): boolean =>
  [...new Set([...Object.keys(a), ...Object.keys(b)])].every(
    (key) => a[key as keyof ScanSettings] === b[key as keyof ScanSettings],
  );

/** The loop: plan windows, score them, absorb the scores in order, until the scan says that it is done. */
async function scan(
  run: Run,
  question: string,
  backend: AttentionBackend,
  ledger: Ledger,
  atOnce: number,
): Promise<void> {
  const stepper = scans[ledger.state.scan.mode];
  // A window of a sequential scan carries what the one before has left.
  const most = ledger.state.scan.mode === 'tournament' ? atOnce : 1;
  const ends = Date.now() + TURN_MS;
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
    const { windows } = await backend.score({ question, windows: texts });
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

async function answer(
  run: Run,
  { question }: Claimed,
  answerer: Answerer,
  { scan, read }: RunState,
): Promise<{ result: AskResult; relevance: number[] | undefined }> {
  const evidence = scan.cache;
  const texts = evidence.map((s) => s.text);
  let shown = 0;
  const { found, text, confidence, spans, relevance } = await answerer.answer({
    question: question.question,
    evidence: texts,
    signal: run.signal,
    onDelta: (delta) => {
      // `at` tells a listener that the answer begins anew when another driver writes it again.
      run.onNotice({ type: 'answer.delta', data: { at: shown, text: delta } });
      shown += delta.length;
    },
  });
  const result = {
    answer: text,
    found,
    confidence,
    citations: await Promise.all(spans.map((span) => cite(run.session, evidence[span.sentence]!, span))),
    read: { windows: scan.windows, ...read },
    seconds: (Date.now() - question.created) / 1000,
  };
  return { result, relevance };
}
