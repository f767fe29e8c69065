import { QuestionTooLong } from '../../../shared/attention.ts';
import type { Manifest } from './manifest.ts';
import type { ReaderTokenizer } from './tokenizer.ts';

/** A window as the graphs read it. */
export interface Layout {
  ids: number[];
  /** Positions of the question rows, from the question mark to the answer mark. */
  rows: number[];
  /** Position of the first sentence's first token. */
  first: number;
  /** Tokens of each sentence that are in the window; a trimmed sentence has fewer than it had. */
  lengths: number[];
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

/** To scan: `bos sentences question-mark question answer-mark`, cut to `max_window_tokens`. */
export function layOut(sentences: number[][], question: number[], manifest: Manifest): Layout {
  return laidOut([manifest.tokens.bos], sentences, question, manifest);
}

/**
 * To answer from: `bos question-mark question context-mark sentences question-mark question answer-mark`. A causal model that has the
 * question before the text reads the text with it in mind; a scan can't afford that, its local layers would hardly see the question.
 */
export function layOutToAnswer(sentences: number[][], question: number[], manifest: Manifest): Layout {
  const { bos, question: asks, context } = manifest.tokens;
  return laidOut([bos, asks, ...question, context], sentences, question, manifest);
}

function laidOut(before: number[], sentences: number[][], question: number[], manifest: Manifest): Layout {
  const { question: asks, answer } = manifest.tokens;
  const lengths = trimLongest(
    sentences.map((ids) => ids.length),
    manifest.max_window_tokens - before.length - question.length - 2,
  );
  const ids = [...before];
  sentences.forEach((sentence, i) => {
    for (let at = 0; at < lengths[i]!; at++) ids.push(sentence[at]!);
  });
  const end = ids.length;
  ids.push(asks, ...question, answer);
  const rows = Array.from({ length: question.length + 2 }, (_, i) => end + i);
  return { ids, rows, first: before.length, lengths };
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
