import { type Answerer, type AttentionBackend, QuestionTooLong } from '../../shared/attention.ts';
import { BackendUnavailable, BackendWarming } from '../attention/endpoint/errors.ts';
import { Problem, type ProblemDetails, toProblem } from '../middleware/problem.ts';

/** A server that loads its model does not listen yet: no reply at all counts as starting for so long after the question. */
const UNREACHABLE_MS = 5 * 60_000;

/** A call to the model failed; `cause` says how. */
export class BackendFailed extends Error {
  constructor(cause: unknown) {
    super('backend failed', { cause });
    this.name = 'BackendFailed';
  }
}

/** The model is another than the one that the run began with. */
export class ModelChanged extends Error {}

/** The reader with its failures told apart from the session's: those end the run, these leave it to the next driver. */
export function guarded(backend: AttentionBackend, answerer: Answerer): AttentionBackend & Answerer {
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

/** What to wait for when a model that is starting broke the run off; undefined when waiting is of no use. */
export function warmingOf(error: unknown, asked: number): BackendWarming | undefined {
  const { cause } = error instanceof BackendFailed ? error : {};
  if (cause instanceof BackendWarming) return cause;
  const silent = cause instanceof BackendUnavailable && cause.retryable && cause.status === undefined;
  return silent && Date.now() - asked < UNREACHABLE_MS
    ? new BackendWarming(cause.retryAfterSeconds ?? 1)
    : undefined;
}

/** The problem that ends the run; undefined for failures that are not the model's, which leave it to the next driver. */
export function problemOf(error: unknown): ProblemDetails | undefined {
  if (error instanceof QuestionTooLong) return toProblem(error);
  if (error instanceof ModelChanged) return modelChanged.details;
  return error instanceof BackendFailed ? backendFailed.details : undefined;
}

const backendFailed = new Problem(
  502,
  'backend-failed',
  'The model could not be read',
  'The attention backend or the model that answers failed, and trying again is of no use.',
  'Ask the question again; the documents are unharmed. `npm run doctor` says whether the endpoint answers.',
);

const modelChanged = new Problem(
  409,
  'model-changed',
  'The model was exchanged during the run',
  'The run began with another model or other settings; scores of two models cannot be compared.',
  'Ask the question again: it is read anew by the model that is there now.',
);
