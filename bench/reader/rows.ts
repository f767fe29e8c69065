import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SentenceSegmenter } from '../../shared/sentences/index.ts';

/** A question on a passage. Offsets count code points. */
export interface QaRow {
  context: string;
  question: string;
  /** All that count as right; empty where the passage does not answer. */
  answers: string[];
  answer_start: number | null;
}

/** A long document with questions; `evidence` holds pairs of offsets in code points, end exclusive. */
export interface LongRow {
  document: string;
  questions: {
    question: string;
    short_question?: string;
    answers: string[];
    evidence?: [number, number][];
  }[];
}

const folder = join(import.meta.dirname, '../../../shared/data/dev');

/** The development set of this name, or null where it is not on this machine. */
export const development = (name: string): string | null => {
  const path = join(folder, `${name}.jsonl.xz`);
  return existsSync(path) ? path : null;
};

export function rowsOf<T = QaRow | LongRow>(path: string): T[] {
  const text = path.endsWith('.xz')
    ? execFileSync('xz', ['-dc', path], { maxBuffer: 2 ** 30 }).toString()
    : readFileSync(path, 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as T);
}

/** `count` of the items, spread evenly over them. */
export const spread = <T>(items: T[], count: number): T[] =>
  items.length <= count
    ? items
    : Array.from({ length: count }, (_, i) => items[Math.floor((i * items.length) / count)]!);

export interface Piece {
  text: string;
  start: number;
  end: number;
}

export function sentencesOf(text: string): Piece[] {
  const segmenter = new SentenceSegmenter();
  return [...segmenter.push(text), ...segmenter.flush()];
}

/** Places of the sentences that `spans` touch, white space at their ends left out. */
export function touched(sentences: Piece[], spans: [number, number][]): number[] {
  return sentences.flatMap(({ text, start }, i) => {
    const end = start + [...text.trimEnd()].length;
    return spans.some(([from, to]) => from < end && to > start) ? [i] : [];
  });
}

/** Place of the sentence in which the answer stands. */
export const goldOf = (sentences: Piece[], { answer_start }: QaRow): number[] =>
  answer_start === null ? [] : touched(sentences, [[answer_start, answer_start + 1]]);
