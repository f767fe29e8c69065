import { CallFailure } from './failure.ts';

/** Time and chance, given in so that tests run five minutes in an instant. */
export interface Timing {
  /** Milliseconds; only differences count. */
  now(): number;
  sleep(milliseconds: number): Promise<void>;
  /** 0 ≤ x < 1. */
  random(): number;
}

export const realTiming: Timing = {
  now: () => Date.now(),
  sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
  random: () => Math.random(),
};

export interface UpstreamLimits {
  /** Calls that may fail within `budgetWindowMs` before nothing is sent any more. */
  callBudget: number;
  budgetWindowMs: number;
  /** Longest that one `call` keeps trying; afterwards the caller decides (a queue comes back later). */
  patienceMs: number;
  /** The same while the endpoint is starting: a run rather says so to its listener and comes back than to wait in silence. */
  warmingPatienceMs: number;
  /** Calls in flight at once. Workers have 6 connections that wait for headers. */
  parallel: number;
  /** Replies out of form before giving up: a cut connection passes, a wrong server does not. */
  protocolAttempts: number;
}

export const defaultLimits: UpstreamLimits = {
  callBudget: 20,
  budgetWindowMs: 5 * 60_000,
  patienceMs: 30_000,
  warmingPatienceMs: 30_000,
  parallel: 6,
  protocolAttempts: 3,
};

// Full jitter (Brooker, "Exponential Backoff And Jitter"): uniform over 0 … base · 2^n. The cap keeps five minutes of a cold start
// near 15 calls, and finds a warm endpoint within a minute.
const BASE_MS = 1_000;
const CAP_MS = 60_000;

/**
 * Every call to one endpoint goes through one of these, so that all runs of an isolate share one schedule. After a failure calls go one at
 * a time (a cold endpoint is probed, not stormed) until one succeeds.
 */
export class Upstream {
  private readonly limits: UpstreamLimits;
  private readonly timing: Timing;
  private readonly onWarming: (retryAfterSeconds: number) => void;
  /** When calls failed since the last success. */
  private failures: number[] = [];
  private streak = 0;
  /** Rises with every back-off; tells calls that failed together from calls that failed in turn. */
  private epoch = 0;
  private lastFailure: CallFailure | undefined;
  private notBefore = 0;
  private proven = false;
  private inFlight = 0;
  private waiting: (() => void)[] = [];

  constructor(limits: UpstreamLimits, timing: Timing, onWarming: (retryAfterSeconds: number) => void) {
    this.limits = limits;
    this.timing = timing;
    this.onWarming = onWarming;
  }

  /**
   * @param attempt one call; throws CallFailure
   * @param abandoned true when nobody waits for the result any more: no further call is made
   * @throws BackendWarming, BackendUnavailable, BackendProtocol
   */
  async call<T>(attempt: () => Promise<T>, abandoned: () => boolean = () => false): Promise<T> {
    const started = this.timing.now();
    for (let outOfForm = 0; ; ) {
      await this.enter();
      try {
        await this.untilAllowed(started);
        if (abandoned()) throw new CallFailure('unreachable', 'the request was given up').toError(1);
        const epoch = this.epoch;
        try {
          const value = await attempt();
          this.succeeded();
          return value;
        } catch (error) {
          if (!(error instanceof CallFailure)) throw error;
          if (!error.retryable) throw error.kind === 'too_large' ? error : error.toError(0);
          this.failed(error, epoch);
          if (error.kind === 'protocol' && ++outOfForm >= this.limits.protocolAttempts) {
            throw error.toError(this.secondsToWait());
          }
        }
      } finally {
        this.leave();
      }
    }
  }

  /** Waits for the back-off; gives up at once when it ends beyond the patience of a call, or when the budget is spent. */
  private async untilAllowed(started: number): Promise<void> {
    for (;;) {
      const wait = this.waitMs();
      if (wait <= 0) return;
      const warming = this.lastFailure?.kind === 'warming';
      if (warming) this.onWarming(this.secondsToWait());
      const patience = warming ? this.limits.warmingPatienceMs : this.limits.patienceMs;
      if (this.timing.now() + wait > started + patience)
        throw this.lastFailure!.toError(this.secondsToWait());
      await this.timing.sleep(wait);
    }
  }

  private waitMs(): number {
    const now = this.timing.now();
    const { callBudget, budgetWindowMs } = this.limits;
    this.failures = this.failures.filter((at) => at > now - budgetWindowMs);
    const oldest = this.failures.at(-callBudget);
    const budget = this.failures.length < callBudget ? 0 : oldest! + budgetWindowMs - now;
    return Math.max(budget, this.notBefore - now);
  }

  private secondsToWait(): number {
    return Math.max(1, Math.ceil(this.waitMs() / 1000));
  }

  private succeeded(): void {
    this.proven = true;
    this.failures = [];
    this.streak = 0;
    this.notBefore = 0;
    this.lastFailure = undefined;
  }

  private failed(failure: CallFailure, epoch: number): void {
    const now = this.timing.now();
    // Parallel calls that fail together are one failure of the endpoint: the back-off must not jump six steps.
    if (epoch === this.epoch) {
      this.streak += 1;
      this.epoch += 1;
    }
    this.failures.push(now);
    this.proven = false;
    this.lastFailure = failure;
    const ceiling = Math.min(CAP_MS, BASE_MS * 2 ** this.streak);
    const jittered = this.timing.random() * ceiling;
    const asked = (failure.retryAfterSeconds ?? 0) * 1000;
    this.notBefore = Math.max(this.notBefore, now + Math.max(asked, jittered));
  }

  private async enter(): Promise<void> {
    while (this.inFlight >= (this.proven ? this.limits.parallel : 1)) {
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
    this.inFlight += 1;
  }

  private leave(): void {
    this.inFlight -= 1;
    // All look again: a success has just opened several places, a failure has closed them.
    for (const wake of this.waiting.splice(0)) wake();
  }
}
