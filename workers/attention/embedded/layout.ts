import { QuestionTooLong } from '../../../shared/attention.ts';
import { sought } from '../../../shared/scan/second.ts';
import type { Manifest } from './manifest.ts';
import type { ReaderTokenizer } from './tokenizer.ts';

/** A text as a graph reads it. */
export interface Layout {
  ids: number[];
  /** Position of the first sentence's first token. */
  first: number;
  /** Tokens of each sentence that are in the window; a trimmed sentence has fewer than it had. */
  lengths: number[];
}

/** A window to scan. */
export interface ScanLayout extends Layout {
  /** Positions of the question rows, from the question mark to the answer mark. */
  rows: number[];
}

/**
 * Ids of a question. Training put a space before it.
 *
 * @throws QuestionTooLong when it has more than `max_question_tokens`.
 */
export function encodeQuestion(question: string, tokenizer: ReaderTokenizer, manifest: Manifest): number[] {
  const ids = tokenizer.encode(` ${question.trim()}`);
  if (ids.length > manifest.max_question_tokens)
    throw new QuestionTooLong(ids.length, manifest.max_question_tokens);
  return ids;
}

/**
 * Ids of what a scan looks for: the question and, in a second pass, the sentence found before, cut to `max_question_tokens`.
 *
 * @throws QuestionTooLong when the question alone has more.
 */
export function encodeSought(
  question: string,
  found: string | undefined,
  tokenizer: ReaderTokenizer,
  manifest: Manifest,
): number[] {
  const asked = encodeQuestion(question, tokenizer, manifest);
  if (found === undefined) return asked;
  return tokenizer.encode(` ${sought(question, found)}`).slice(0, manifest.max_question_tokens);
}

/** To scan: `bos sentences question-mark question answer-mark`, cut to `max_window_tokens`. */
export function layOut(sentences: number[][], question: number[], manifest: Manifest): ScanLayout {
  const { bos, question: asks, answer } = manifest.tokens;
  const behind = [asks, ...question, answer];
  const { ids, ...text } = laidOut([bos], sentences, manifest.max_window_tokens - behind.length);
  const rows = behind.map((_, i) => ids.length + i);
  return { ids: [...ids, ...behind], rows, ...text };
}

/**
 * To answer from: `bos question-mark question context-mark sentences`, cut to `answer.max_window_tokens`. The answer model reads both
 * ways, so that the text is read with the question in mind. A scan can't afford that: its local layers would hardly see the question.
 */
export function layOutToAnswer(sentences: number[][], question: number[], manifest: Manifest): Layout {
  return laidOut(asked(question, manifest), sentences, manifest.answer.max_window_tokens);
}

/** The same for more than the graph reads at once: consecutive sentences, as many in each part as fit. */
export function layOutParts(sentences: number[][], question: number[], manifest: Manifest): Layout[] {
  const before = asked(question, manifest);
  const limit = manifest.answer.max_window_tokens;
  const parts: number[][][] = [];
  let left = 0;
  for (const ids of sentences) {
    if (parts.length === 0 || ids.length > left) {
      parts.push([]);
      left = limit - before.length;
    }
    parts.at(-1)!.push(ids);
    left -= ids.length;
  }
  return parts.map((part) => laidOut(before, part, limit));
}

function asked(question: number[], { tokens }: Manifest): number[] {
  return [tokens.bos, tokens.question, ...question, tokens.context];
}

function laidOut(before: number[], sentences: number[][], limit: number): Layout {
  const lengths = trimLongest(
    sentences.map((ids) => ids.length),
    limit - before.length,
  );
  const ids = [...before, ...sentences.flatMap((sentence, i) => sentence.slice(0, lengths[i]))];
  return { ids, first: before.length, lengths };
}

/** Lengths with the same cap on each, the largest cap with which the sum is at most `room`. */
export function trimLongest(lengths: number[], room: number): number[] {
  if (lengths.reduce((sum, n) => sum + n, 0) <= room) return lengths;
  let low = 0;
  let high = room;
  while (low < high) {
    const cap = Math.ceil((low + high) / 2);
    if (lengths.reduce((sum, n) => sum + Math.min(n, cap), 0) <= room) low = cap;
    else high = cap - 1;
  }
  return lengths.map((n) => Math.min(n, low));
}
