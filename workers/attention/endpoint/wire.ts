import { z } from 'zod';
import type {
  BackendDescription,
  ScanSettings,
  ScoreRequest,
  WindowScores,
} from '../../../shared/attention.ts';
import { CallFailure } from './failure.ts';
import { decodeHalves } from './float16.ts';

/** The JSON of inference/: what is sent, and what must come back. */

/**
 * How the endpoint is reached: `server` is inference/server.py (one path a task), `handler` a Hugging Face Inference Endpoint with
 * inference/handler.py (one path, the task inside).
 */
export type Door = 'handler' | 'server';

/** A URL that ends in /v1 is a server's; anything else is an Inference Endpoint's. */
export const doorOf = (url: string): Door => (/\/v1\/?$/.test(url) ? 'server' : 'handler');

export interface Call {
  url: string;
  /** What is posted; undefined for a GET. */
  body?: object;
}

/** Chooses layer and heads; the endpoint's own defaults hold for what is left out. */
export interface ScoreParameters {
  /** "heads": those that the endpoint has a list of, in whichever layers. */
  layer?: 'last' | 'middle' | 'heads' | number;
  heads?: number[];
  /** Minus the same score under the question "N/A": twice the work, less noise. */
  calibrate?: boolean;
}

export function scoreCall(url: string, door: Door, request: ScoreRequest, parameters: ScoreParameters): Call {
  const { question, windows } = request;
  return door === 'server'
    ? { url: taskUrl(url, 'score'), body: { question, windows, parameters } }
    : { url, body: { inputs: { question, windows }, parameters } };
}

export const describeCall = (url: string, door: Door): Call =>
  door === 'server'
    ? { url: taskUrl(url, 'describe') }
    : { url, body: { inputs: { task: 'describe' }, parameters: {} } };

const taskUrl = (url: string, task: string): string => `${url.replace(/\/+$/, '')}/${task}`;

/** The endpoint says that the question does not fit; the client knows the counts. */
export class TooLongQuestion extends Error {}

const ErrorReply = z.object({
  error: z.object({
    code: z.string(),
    retryable: z.boolean().default(false),
  }),
});

const ScoreReply = z.object({
  windows: z.array(z.object({ sentences: z.array(z.object({ importance: z.string() })), sink: z.number() })),
});

const count = z.number().int().positive();

const DescribeReply = z.object({
  model: z.string().min(1),
  /** Prompt, text and question together. */
  max_window_tokens: count,
  /** Windows it computes together; a CPU gains nothing from more than one. */
  windows_at_once: count.default(1),
  /** The two that follow are sent for a model that was trained for them. */
  max_question_tokens: count.optional(),
  settings: z
    .object({
      window_tokens: count,
      cache_tokens: count,
      evidence_tokens: count,
      top_tokens: count,
      phrase_tokens: count,
      rank: z.enum(['peak', 'mass']),
      lexical_weight: z.number().nonnegative(),
    })
    .refine((s) => s.cache_tokens < s.window_tokens && s.cache_tokens <= s.evidence_tokens)
    .optional(),
});

/**
 * The handler reports its errors inside a 200, since Inference Endpoints turn every exception into a 400. Its message is not passed
 * on: it may quote the request.
 *
 * @throws TooLongQuestion, CallFailure
 */
function throwReported(data: unknown): void {
  const parsed = ErrorReply.safeParse(data);
  if (!parsed.success) return;
  const { code, retryable } = parsed.data.error;
  if (code === 'question_too_long') throw new TooLongQuestion();
  const named = /^[a-z][a-z0-9_]{0,39}$/.test(code) ? code : 'an unnamed error';
  const reason = `it reports ${named}`;
  if (/warming|loading|starting/.test(named)) throw new CallFailure('warming', reason);
  // Fewer windows at once need less memory, so this is mended like a payload over the limit.
  if (named === 'out_of_memory' || named === 'too_large') throw new CallFailure('too_large', reason);
  throw new CallFailure(retryable ? 'busy' : 'refused', reason);
}

/**
 * The scores of exactly the sentences sent, in their order.
 *
 * @throws TooLongQuestion, CallFailure of kind "protocol" when counts differ or a number is not finite
 */
export function readScores(data: unknown, sent: ScoreRequest['windows']): WindowScores[] {
  throwReported(data);
  const { windows } = parse(ScoreReply, data, 'the scores are not in the agreed form');
  if (windows.length !== sent.length) throw new CallFailure('protocol', 'it has another number of windows');
  return windows.map(({ sentences, sink }, i) => {
    if (sentences.length !== sent[i]!.sentences.length) {
      throw new CallFailure('protocol', 'it has another number of sentences');
    }
    return { sentences: sentences.map((s) => ({ importance: decodeHalves(s.importance) })), sink };
  });
}

/** The prompt around text and question: the paper's is 40 tokens, a chat template adds its own. */
const PROMPT_TOKENS = 128;
const MAX_QUESTION_TOKENS = 512;
// About 2 MB of text in the isolate, twice more as JSON.
const MAX_AT_ONCE = 128;

/**
 * The endpoint gives the size of its window; the rest is the paper's K and k, and a cache of a third of the text, so that two thirds of
 * every window are new; or the model's own settings, where it was trained for them.
 *
 * @throws CallFailure of kind "protocol"
 */
export function readDescription(data: unknown): BackendDescription {
  throwReported(data);
  const reply = parse(DescribeReply, data, 'the description is not in the agreed form');
  const { model, max_window_tokens } = reply;
  const windows_at_once = Math.min(MAX_AT_ONCE, reply.windows_at_once);
  const max_question_tokens =
    reply.max_question_tokens ?? Math.min(MAX_QUESTION_TOKENS, Math.ceil(max_window_tokens / 4));
  if (reply.settings) return { model, max_question_tokens, settings: reply.settings, windows_at_once };
  const room = max_window_tokens - max_question_tokens - PROMPT_TOKENS;
  if (room < 1) throw new CallFailure('refused', `its window of ${max_window_tokens} tokens is too small`);
  const window_tokens = room;
  const cache_tokens = Math.ceil(room / 3);
  const settings: ScanSettings = {
    window_tokens,
    cache_tokens,
    evidence_tokens: cache_tokens,
    top_tokens: 300,
    phrase_tokens: 8,
    rank: 'peak',
    lexical_weight: 0,
  };
  return { model, max_question_tokens, settings, windows_at_once };
}

function parse<T>(schema: z.ZodType<T>, data: unknown, reason: string): T {
  const parsed = schema.safeParse(data);
  // zod's message lists values of the reply.
  if (!parsed.success) throw new CallFailure('protocol', reason);
  return parsed.data;
}
