import type { Answer } from '../attention.ts';
import type { Placed } from './state.ts';

/** An answer and the evidence that it was read from, in the order of the documents. Plain JSON. */
export interface Reading {
  answer: Answer;
  evidence: Placed[];
}

/** What the first pass over a text leaves to the second. */
export interface FirstPass extends Reading {
  /** The sentence of the evidence that stands behind the question now. */
  found: Placed;
}

/**
 * Whether to read the text once more, with what. Of facts that answer only together the first shares words with the question, the second
 * often with the first alone: "The vault has the same key as the brewery", and far away who wears the key to the brewery. So where the
 * answer is uncertain, its best sentence is asked with.
 *
 * @param againBelow answers less certain than this are looked for again; undefined for a reader that does not
 * @returns undefined when the answer stands
 */
export function secondLook(
  { answer, evidence }: Reading,
  againBelow: number | undefined,
): FirstPass | undefined {
  const { confidence, relevance } = answer;
  if (againBelow === undefined || confidence >= againBelow || !relevance) return undefined;
  const highest = Math.max(0, ...relevance);
  return highest > 0 ? { answer, evidence, found: evidence[relevance.indexOf(highest)]! } : undefined;
}

/** The question as it is looked for: with the sentence found before, if any, behind it. */
export const sought = (question: string, found?: string): string =>
  found === undefined ? question.trim() : `${question.trim()} ${found.trim()}`;

/** What the second pass answers from: the sentence found first and its own evidence. Of sentences that read the same one stays. */
export const joined = (found: Placed, evidence: Placed[]): Placed[] =>
  [found, ...evidence.filter(({ text }) => text.trim() !== found.text.trim())].sort(
    (a, b) => a.place - b.place,
  );

/** The more certain of two readings; the second may have been led astray. */
export const surer = (first: Reading, second: Reading): Reading =>
  second.answer.confidence > first.answer.confidence ? second : first;
