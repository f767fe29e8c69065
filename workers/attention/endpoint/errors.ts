/**
 * What can go wrong with a model behind HTTP. The messages are written here and nowhere else: what a server or the client library says
 * may carry the user's text or a token, so it never goes into one.
 */
export class BackendError extends Error {
  /** Whether the same request may pass later. */
  readonly retryable: boolean;
  /** When to try again, in whole seconds; undefined where trying again is of no use. */
  readonly retryAfterSeconds: number | undefined;

  constructor(message: string, retryable: boolean, retryAfterSeconds?: number) {
    super(message);
    this.retryable = retryable;
    this.retryAfterSeconds = retryable ? Math.max(1, Math.ceil(retryAfterSeconds ?? 1)) : undefined;
  }
}

/** The endpoint is starting (scaled to zero, loading weights). Nothing is wrong: come back. */
export class BackendWarming extends BackendError {
  declare readonly retryAfterSeconds: number;

  constructor(retryAfterSeconds: number) {
    super('the model is starting', true, retryAfterSeconds);
    this.name = 'BackendWarming';
  }
}

/** The endpoint cannot be reached, is too busy, or refuses the request. */
export class BackendUnavailable extends BackendError {
  /** HTTP status, where there was one. */
  readonly status: number | undefined;

  constructor(
    reason: string,
    options: { retryable: boolean; retryAfterSeconds?: number | undefined; status?: number | undefined },
  ) {
    super(`the model cannot be used: ${reason}`, options.retryable, options.retryAfterSeconds);
    this.name = 'BackendUnavailable';
    this.status = options.status;
  }
}

/** The endpoint answered, but not in the agreed form. */
export class BackendProtocol extends BackendError {
  constructor(reason: string, retryAfterSeconds?: number) {
    // Mostly a connection cut short: worth another try, which the caller bounds.
    super(`the model's reply cannot be used: ${reason}`, true, retryAfterSeconds);
    this.name = 'BackendProtocol';
  }
}
