import type { AskResult, Claim, Commit, RunState } from '../../durable-objects/types.ts';
import type { BackendDescription, ScanSettings } from '../../shared/attention.ts';
import { scans } from '../../shared/scan/index.ts';
import { type Reading, secondLook, sought, surer } from '../../shared/scan/second.ts';
import type { BackendWarming } from '../attention/endpoint/errors.ts';
import { logError } from '../middleware/errors.ts';
import { cite } from './cite.ts';
import { BackendFailed, guarded, ModelChanged, problemOf, warmingOf } from './failure.ts';
import { begun, evidenceOf, LeaseLost, Ledger } from './ledger.ts';
import { pass } from './pass.ts';
import { type Run, TurnOver } from './turn.ts';

/** One driver's turn, under the platform's 5 minutes of CPU a request; the queue takes the run on. */
export const TURN_MS = 240_000;
/** Renewal while a backend takes its time, such as a GPU that starts; a third of the lease. */
const RENEW_MS = 5_000;

type Claimed = Extract<Claim, { kind: 'claimed' }>;

/**
 * `completed` or `failed`: the run is over. `held`: another driver has it. `over`: it was over before. `handed-over`: this driver's
 * turn has ended, the queue goes on.
 */
export type RunOutcome = 'completed' | 'failed' | 'held' | 'over' | 'handed-over';

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
  const ends = Date.now() + TURN_MS;
  let ledger: Ledger | null = null;
  try {
    const description = await backend.describe();
    ledger = await begin(run, claim, description);
    const { question } = claim.question;
    const turn = { run, question, backend, ledger, atOnce: description.windows_at_once ?? 1, ends };
    let reading = await pass(turn);
    const look = ledger.state.first ? undefined : secondLook(reading, description.again_below);
    if (look) {
      const { mode, settings } = ledger.state.scan;
      await ledger.again(look, scans[mode].start(settings, sought(question, look.found.text)));
      reading = await pass(turn);
    }
    const { first } = ledger.state;
    if (first) reading = surer(first, reading);
    ledger.settled(reading);
    const result = await resultOf(run, claim, reading, ledger.state);
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
    ...begun(scans[question.mode].start(settings, question.question), question.input),
    model,
    read: { sentences: 0, bytes: 0 },
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

async function resultOf(
  run: Run,
  { question }: Claimed,
  { answer, evidence }: Reading,
  { scan, read }: RunState,
): Promise<AskResult> {
  const { found, text, confidence, spans } = answer;
  return {
    answer: text,
    found,
    confidence,
    citations: await Promise.all(spans.map((span) => cite(run.session, evidence[span.sentence]!, span))),
    read: { windows: scan.windows, ...read },
    seconds: (Date.now() - question.created) / 1000,
  };
}
