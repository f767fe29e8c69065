import type { AskResult, Claim, RunState, SessionApi, StoredEvent } from '../../durable-objects/types.ts';
import { type Answerer, type AttentionBackend, QuestionTooLong } from '../../shared/attention.ts';
import { scans } from '../../shared/scan/index.ts';
import { logError } from '../middleware/errors.ts';
import { Problem, toProblem } from '../middleware/problem.ts';
import { cite } from './cite.ts';
import { RoundInput } from './input.ts';
import { asEvidence, LeaseLost, Ledger } from './ledger.ts';

/** One driver's turn, under the platform's 5 minutes of CPU a request; the queue takes the run on. */
export const TURN_MS = 240_000;
/** Renewal while a backend takes its time, such as a GPU that starts; a third of the lease. */
const RENEW_MS = 5_000;

export interface Run {
  session: SessionApi;
  question: string;
  backend: AttentionBackend;
  answerer: Answerer;
  /** Aborted when nobody listens any more: the queue goes on. */
  signal: AbortSignal;
  onEvent: (event: StoredEvent) => void;
}

/**
 * `completed` or `failed`: the run is over. `held`: another driver has it. `over`: it was over before. `handed-over`: this driver's
 * turn has ended, the queue goes on.
 */
export type RunOutcome = 'completed' | 'failed' | 'held' | 'over' | 'handed-over';

/** A call to the model failed; the run can't go on and says so. */
class BackendFailed extends Error {
  constructor(cause: unknown) {
    super('backend failed', { cause });
  }
}

class TurnOver extends Error {}

/**
 * Drives a question's run from its stored cursor to the answer, committing as it goes. May die at any point: the next driver goes on
 * from the last commit, and evidence and answer come out the same.
 */
export async function runQuestion(run: Run): Promise<RunOutcome> {
  const claim = await run.session.claim(run.question);
  if (claim.kind !== 'claimed') return claim.kind;
  const renewal = setInterval(() => run.session.renew(run.question, claim.lease).catch(logError), RENEW_MS);
  try {
    return await drive(run, claim);
  } catch (error) {
    if (error instanceof LeaseLost) return 'held';
    if (!(error instanceof TurnOver)) throw error;
    await run.session.handOver(run.question, claim.lease);
    return 'handed-over';
  } finally {
    clearInterval(renewal);
  }
}

async function drive(run: Run, claim: Extract<Claim, { kind: 'claimed' }>): Promise<RunOutcome> {
  const backend = guarded(run.backend, run.answerer);
  let ledger: Ledger | null = null;
  try {
    ledger = await begin(run, claim, backend);
    await scan(run, claim.question.question, backend, ledger);
    const result = await answer(run, claim, backend, ledger.state);
    await ledger.commit(
      [
        { type: 'evidence.updated', data: { evidence: ledger.state.scan.cache.map(asEvidence) } },
        { type: 'answer.completed', data: { question: run.question, ...result } },
      ],
      { status: 'completed', result },
    );
    return 'completed';
  } catch (error) {
    const refused = error instanceof QuestionTooLong;
    // A backend call that broke because the client left is no failure of the run.
    if (run.signal.aborted && error instanceof BackendFailed) throw new TurnOver();
    if (!ledger || !(refused || error instanceof BackendFailed)) throw error;
    if (!refused) logError(error.cause);
    const problem = refused ? toProblem(error) : backendFailed.details;
    await ledger.commit([{ type: 'run.failed', data: problem }], { status: 'failed', result: problem });
    return 'failed';
  }
}

/** The stored state, or a fresh one that is stored at once. */
async function begin(
  run: Run,
  claim: Extract<Claim, { kind: 'claimed' }>,
  backend: AttentionBackend,
): Promise<Ledger> {
  const { question } = claim;
  if (question.state) return new Ledger(run.session, claim, question.state, run.onEvent);
  const { model, settings } = await backend.describe();
  const state: RunState = {
    scan: scans[question.mode].start(settings),
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

/** The loop: plan a window, score it, absorb the scores, until the scan says that it is done. */
async function scan(run: Run, question: string, backend: AttentionBackend, ledger: Ledger): Promise<void> {
  const stepper = scans[ledger.state.scan.mode];
  const ends = Date.now() + TURN_MS;
  let input = new RoundInput(run.session, backend, run.question, ledger.state);
  while (!ledger.state.scan.done) {
    if (run.signal.aborted || Date.now() > ends) {
      await ledger.commit();
      throw new TurnOver();
    }
    const plan = stepper.plan(ledger.state.scan, input.ahead, input.complete);
    if (plan.kind === 'more') {
      await input.more();
    } else if (plan.kind === 'advance') {
      await ledger.advance(plan.state);
      input = new RoundInput(run.session, backend, run.question, ledger.state);
    } else {
      const { window } = plan;
      const sentences = window.sentences.map((s) => s.text);
      const { windows } = await backend.score({ question, windows: [{ sentences }] });
      input.take(window.taken);
      await ledger.scored(window, stepper.absorb(ledger.state.scan, window, windows[0]!));
    }
  }
}

async function answer(
  run: Run,
  { question }: Extract<Claim, { kind: 'claimed' }>,
  answerer: Answerer,
  { scan, read }: RunState,
): Promise<AskResult> {
  const evidence = scan.cache;
  const texts = evidence.map((s) => s.text);
  const { found, text, confidence, spans } = await answerer.answer({
    question: question.question,
    evidence: texts,
  });
  return {
    answer: text,
    found,
    confidence,
    citations: await Promise.all(spans.map((span) => cite(run.session, evidence[span.sentence]!, span))),
    read: { windows: scan.windows, ...read },
    seconds: (Date.now() - question.created) / 1000,
  };
}

/** The reader with its failures told apart from the session's: those end the run, these leave it to the next driver. */
function guarded(backend: AttentionBackend, answerer: Answerer): AttentionBackend & Answerer {
  const guard = async <T>(call: Promise<T>): Promise<T> => {
    try {
      return await call;
    } catch (error) {
      throw error instanceof QuestionTooLong ? error : new BackendFailed(error);
    }
  };
  return {
    describe: () => guard(backend.describe()),
    countTokens: (sentences) => guard(backend.countTokens(sentences)),
    score: (request) => guard(backend.score(request)),
    answer: (request) => guard(answerer.answer(request)),
  };
}

const backendFailed = new Problem(
  502,
  'backend-failed',
  'The model could not be read',
  'The attention backend failed in the middle of the run.',
  'Ask the question again; the documents are unharmed.',
);
