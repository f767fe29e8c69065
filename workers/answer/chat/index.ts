import type { Answer, Answerer } from '../../../shared/attention.ts';
import { CallFailure } from '../../attention/endpoint/failure.ts';
import { defaultLimits, realTiming, type Timing, Upstream } from '../../attention/endpoint/upstream.ts';
import { AnswerReader } from './citations.ts';
import type { ChatModel } from './models.ts';
import { promptFor } from './prompt.ts';

export { type ChatModel, configuredChat, type WorkersAi } from './models.ts';

/** A piece of the answer's text; then, once, the whole. `done` has the last word: `found` may be false although text was shown. */
export type AnswerEvent = { delta: string } | { done: Answer };

export interface StreamingAnswerer extends Answerer {
  stream(request: { question: string; evidence: string[]; signal?: AbortSignal }): AsyncIterable<AnswerEvent>;
}

export interface ChatAnswererOptions {
  model: ChatModel;
  /** A fresh unguessable string for each question's fence. */
  delimiter?: () => string;
  /** Longest wait for the first piece, and between two. */
  timeoutMs?: number;
  /** Longest that a question keeps trying to reach the model before it gives up. */
  patienceMs?: number;
  /** The same while the model is starting. */
  warmingPatienceMs?: number;
  timing?: Timing;
  /** Called whenever the answer must wait because the model is starting. */
  onWarming?: (retryAfterSeconds: number) => void;
}

const TIMEOUT_MS = 25_000;

/**
 * Answers from the evidence alone, written by a chat model, every statement cited. A model that cannot be reached is tried again until it
 * has written something; after that the failure is the caller's, who asks again from the start.
 *
 * @throws from its methods: BackendWarming, BackendUnavailable, BackendProtocol
 */
export function createChatAnswerer(options: ChatAnswererOptions): StreamingAnswerer {
  const { model, delimiter = () => crypto.randomUUID(), timeoutMs = TIMEOUT_MS } = options;
  const limits = {
    ...defaultLimits,
    patienceMs: options.patienceMs ?? defaultLimits.patienceMs,
    warmingPatienceMs: options.warmingPatienceMs ?? defaultLimits.warmingPatienceMs,
  };
  const upstream = new Upstream(limits, options.timing ?? realTiming, options.onWarming ?? (() => {}));

  async function* stream(request: {
    question: string;
    evidence: string[];
    signal?: AbortSignal;
  }): AsyncGenerator<AnswerEvent> {
    const { question, evidence, signal } = request;
    const reader = new AnswerReader(evidence);
    if (evidence.length > 0) {
      const messages = promptFor(question, evidence, delimiter());
      for await (const piece of reached(messages, signal)) {
        const delta = reader.push(piece);
        if (delta !== '') yield { delta };
      }
    }
    const { delta, answer } = reader.end();
    if (delta !== '') yield { delta };
    yield { done: answer };
  }

  /** The model's pieces; everything up to the first may be repeated. */
  async function* reached(
    messages: Parameters<ChatModel>[0],
    signal: AbortSignal | undefined,
  ): AsyncGenerator<string> {
    let stall = new Stall(timeoutMs, signal);
    const { pieces, first } = await upstream.call(
      async () => {
        stall = new Stall(timeoutMs, signal);
        const pieces = model(messages, stall.signal)[Symbol.asyncIterator]();
        try {
          return { pieces, first: await pieces.next() };
        } finally {
          stall.stop();
        }
      },
      () => signal?.aborted ?? false,
    );
    try {
      for (let next = first; !next.done; next = await pieces.next()) {
        stall.stop();
        yield next.value;
        stall.start();
      }
    } catch (error) {
      throw error instanceof CallFailure ? error.toError(1) : error;
    } finally {
      // Also when the listener leaves early: the model stops writing.
      stall.abort();
    }
  }

  return {
    stream,
    async answer(request) {
      for await (const event of stream(request)) {
        if ('done' in event) return event.done;
        request.onDelta?.(event.delta);
      }
      throw new Error('unreachable: a stream ends with done');
    },
  };
}

/** Aborts when nothing comes for a while; the time a slow listener takes does not count. */
class Stall {
  readonly signal: AbortSignal;
  private readonly controller = new AbortController();
  private readonly milliseconds: number;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(milliseconds: number, outer: AbortSignal | undefined) {
    this.milliseconds = milliseconds;
    this.signal = outer ? AbortSignal.any([outer, this.controller.signal]) : this.controller.signal;
    this.start();
  }

  start(): void {
    this.stop();
    this.timer = setTimeout(() => this.controller.abort(), this.milliseconds);
  }

  stop(): void {
    clearTimeout(this.timer);
  }

  abort(): void {
    this.stop();
    this.controller.abort();
  }
}
