import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ScanMode } from '../../shared/scan/index.ts';
import { haystack } from '../text.ts';
import { sentencesOf } from './rows.ts';

/** Sentences to hide in a long text, a question on them in one or more phrasings, and what counts as its answer. */
interface Needle {
  name?: string;
  needles: string[];
  questions: string[];
  answers: string[];
  /** Hidden as well, to be told from the needles. */
  others?: string[];
}

/** Needles of known tests, of our own in five phrasings, and pairs of which the first leads to the second. */
type Needles = Record<'known' | 'natural' | 'chained', Needle[]>;

/** One needle at one depth, and one question. */
export interface Cell {
  /** The name of a known test, `natural` or `chained`. */
  set: string;
  /** Place of the needle in its list. */
  needle: number;
  /** Place of the phrasing. */
  question: number;
  /** 0 … 1. */
  depth: number;
  tokens: number;
  mode: ScanMode;
}

export const DEPTHS = 11;
/** Chains are not sought in longer texts. */
const CHAINED_TOKENS = 100_000;

const needles = JSON.parse(readFileSync(join(import.meta.dirname, 'needles.json'), 'utf8')) as Needles;

/** Every needle at every depth; the phrasings take turns. */
export function grid(tokens: number, mode: ScanMode): Cell[] {
  const over = (set: (needle: Needle) => string, list: Needle[], most: number) =>
    list.flatMap((entry, needle) =>
      Array.from({ length: DEPTHS }, (_, i) => ({
        set: set(entry),
        needle,
        question: (needle + i) % entry.questions.length,
        depth: i / (DEPTHS - 1),
        tokens: most,
        mode,
      })),
    );
  return [
    ...over(({ name }) => name!, needles.known, tokens),
    ...over(() => 'natural', needles.natural, tokens),
    ...over(() => 'chained', needles.chained, Math.min(tokens, CHAINED_TOKENS)),
  ];
}

export interface Hidden {
  question: string;
  answers: string[];
  /** The sentences of the whole text. */
  text: string[];
  /** Of each needle, the sentences one of which must be kept: those that hold an answer, or all where none does. */
  gold: string[][];
}

/**
 * The text of a cell.
 *
 * @param essays sentences to hide the needle among, as often as it takes
 * @param tokens their lengths
 */
export function hide(
  { set, needle, question, depth, tokens: total }: Cell,
  essays: string[],
  tokens: number[],
): Hidden {
  const list = set === 'natural' || set === 'chained' ? needles[set] : needles.known;
  const entry = list[needle]!;
  const text: string[] = [];
  for (let i = 0, used = 0; used < total; i = (i + 1) % essays.length) {
    text.push(essays[i]!);
    used += tokens[i]!;
  }
  const length = text.length;
  const buried = [...entry.needles, ...(entry.others ?? [])];
  const placed = buried
    .map((one, i) => ({ share: i === 0 ? depth : (depth + i / buried.length) % 1, sentences: spaced(one) }))
    .sort((a, b) => b.share - a.share);
  // From the back, so that the places in front stay what they are.
  for (const { share, sentences } of placed) text.splice(Math.floor(length * share + 1e-9), 0, ...sentences);
  const holds = (sentence: string) =>
    entry.answers.some((answer) => sentence.toLowerCase().includes(answer.toLowerCase()));
  const gold = entry.needles.map((one) => {
    const parts = spaced(one);
    const holding = parts.filter(holds);
    return holding.length > 0 ? holding : parts;
  });
  return { question: entry.questions[question]!, answers: entry.answers, text, gold };
}

const spaced = (text: string): string[] =>
  sentencesOf(text).map((sentence) => (/\s$/.test(sentence.text) ? sentence.text : `${sentence.text} `));

/** The essays' sentences as the product cuts them; null, and says so, where they are not on this machine. */
export function essaySentences(): string[] | null {
  const { name, paragraphs } = haystack();
  if (name !== 'essays') {
    console.log('skipped: ../shared/data/haystack is not on this machine');
    return null;
  }
  return sentencesOf(`${paragraphs.join('\n\n')}\n`)
    .map((sentence) => sentence.text)
    .filter((text) => text.trim() !== '');
}
