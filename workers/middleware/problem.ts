import { QuestionTooLong } from '../../shared/attention.ts';

/** Problem details, RFC 9457, with a `hint` that says how to mend it. */
export interface ProblemDetails {
  type: string;
  title: string;
  status: number;
  detail: string;
  hint: string;
  [member: string]: unknown;
}

/**
 * An error that the client may see. It never carries a document's text or a question.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9457
 */
export class Problem extends Error {
  readonly details: ProblemDetails;

  constructor(
    status: number,
    name: string,
    title: string,
    detail: string,
    hint: string,
    members: Record<string, unknown> = {},
  ) {
    super(title);
    this.name = 'Problem';
    this.details = { type: `urn:sluice:problem:${name}`, title, status, detail, hint, ...members };
  }
}

export const notFound = (what: 'session' | 'document' | 'question') =>
  new Problem(
    404,
    `unknown-${what}`,
    `There is no such ${what}`,
    `This ${what} was never made, was deleted, or has expired.`,
    what === 'session'
      ? 'Make a new session with POST /v1/sessions and send its documents again.'
      : `GET /v1/sessions/{session} lists the ${what}s that the session holds.`,
  );

export const questionTooLong = (error: QuestionTooLong) =>
  new Problem(
    422,
    'question-too-long',
    'The question is longer than the model takes',
    `The question has ${error.tokens} tokens; the model takes ${error.limit}.`,
    `Ask in at most ${error.limit} tokens, and send long passages as a document instead.`,
    { tokens: error.tokens, limit: error.limit },
  );

/** What a client may know of any error. */
export function toProblem(error: unknown): ProblemDetails {
  if (error instanceof Problem) return error.details;
  if (error instanceof QuestionTooLong) return questionTooLong(error).details;
  return {
    type: 'urn:sluice:problem:internal',
    title: 'Something went wrong inside the server',
    status: 500,
    detail: 'The request could not be finished; what was stored before it is unharmed.',
    hint: 'Try again; if it happens again, look at the log of the Worker.',
  };
}
