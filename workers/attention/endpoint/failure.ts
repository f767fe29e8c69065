import { type BackendError, BackendProtocol, BackendUnavailable, BackendWarming } from './errors.ts';

/** What one HTTP call showed before it failed. */
export interface Reply {
  status?: number;
  retryAfter?: string | null;
  html?: boolean;
}

/** One failed call, before anyone decides whether to repeat it. */
export class CallFailure extends Error {
  readonly kind: 'warming' | 'busy' | 'unreachable' | 'refused' | 'too_large' | 'protocol';
  readonly reason: string;
  readonly status: number | undefined;
  /** What Retry-After asked for, in seconds. */
  readonly retryAfterSeconds: number | undefined;

  constructor(
    kind: CallFailure['kind'],
    reason: string,
    details: { status?: number | undefined; retryAfterSeconds?: number | undefined } = {},
  ) {
    super(reason);
    this.name = 'CallFailure';
    this.kind = kind;
    this.reason = reason;
    this.status = details.status;
    this.retryAfterSeconds = details.retryAfterSeconds;
  }

  get retryable(): boolean {
    return this.kind !== 'refused' && this.kind !== 'too_large';
  }

  /** The error that leaves the client when this failure was the last one. */
  toError(retryAfterSeconds: number): BackendError {
    if (this.kind === 'warming') return new BackendWarming(retryAfterSeconds);
    if (this.kind === 'protocol') return new BackendProtocol(this.reason, retryAfterSeconds);
    const { retryable, status } = this;
    return new BackendUnavailable(this.reason, { retryable, retryAfterSeconds, status });
  }
}

/**
 * Seconds that a Retry-After header asks for: a number, or an HTTP date measured against `now` (milliseconds).
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
 */
export function parseRetryAfter(header: string | null | undefined, now: number): number | undefined {
  if (header === null || header === undefined) return undefined;
  const seconds = /^\s*\d+\s*$/.test(header) ? Number(header) : (Date.parse(header) - now) / 1000;
  return Number.isFinite(seconds) ? Math.min(3600, Math.max(0, seconds)) : undefined;
}

/** Turns whatever a call threw into a CallFailure. Nothing of the cause is kept: it may hold the request's body. */
export function failed(error: unknown, reply: Reply, signal: AbortSignal, now = Date.now()): CallFailure {
  if (error instanceof CallFailure) return error;
  if (error instanceof BackendProtocol) return new CallFailure('protocol', 'it is not JSON');
  const { status } = reply;
  const details = { status, retryAfterSeconds: parseRetryAfter(reply.retryAfter, now) };
  if (signal.aborted) return new CallFailure('unreachable', 'it did not answer in time', details);
  if (status === undefined) return new CallFailure('unreachable', 'the connection failed');
  if (status < 400) {
    // The status was good and the body was not: cut short, reset, or no JSON.
    return new CallFailure('protocol', 'it ends early or is not JSON', details);
  }
  const code = `HTTP ${status}`;
  if (status === 503 || status === 502 || status === 504) return new CallFailure('warming', code, details);
  if (status === 429) return new CallFailure('busy', 'too many requests (HTTP 429)', details);
  if (status === 408 || status >= 500) return new CallFailure('unreachable', code, details);
  if (status === 413) return new CallFailure('too_large', 'a request is too large (HTTP 413)', details);
  // An HTML page is a gateway's: the handler itself answers JSON, and its refusals are final.
  if (reply.html && status !== 401 && status !== 403) return new CallFailure('unreachable', code, details);
  const why =
    status === 401 || status === 403 ? `the token is not accepted (${code})` : `it refused (${code})`;
  return new CallFailure('refused', why, details);
}
