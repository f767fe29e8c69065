import type { ScanSettings, WindowScores } from './attention.ts';
import { convolvePhrases, topIndices } from './importance.ts';

/** One sentence's standing in a window. */
export interface Ranked {
  /** Index in the window. */
  index: number;
  /** What sentences are ordered by; larger is better. */
  score: number;
}

/**
 * The window's sentences, best first. By attention alone (InfiniRetri, section 3.3, steps 5 and 6 of the loop) those that hold at least
 * one of the window's top-K tokens after the phrase convolution; with `lexical` all of them, by log(attention + 0.001) + weight × BM25:
 * a sum of evidences in the logarithm, where a floor under the attention keeps words alone from being worth nothing or all.
 *
 * @param lexical one BM25 score a sentence
 */
export function rankSentences(scores: WindowScores, settings: ScanSettings, lexical?: number[]): Ranked[] {
  const { phrases, owner } = convolved(scores, settings.phrase_tokens);
  const tokens = topIndices(phrases, lexical ? phrases.length : settings.top_tokens);
  const score = new Map<number, number>();
  for (const token of tokens) {
    const index = owner[token]!;
    score.set(index, Math.max(score.get(index) ?? Number.NEGATIVE_INFINITY, phrases[token]!));
  }
  if (settings.rank === 'mass') {
    for (const index of score.keys()) {
      score.set(
        index,
        scores.sentences[index]!.importance.reduce((sum, x) => sum + x, 0),
      );
    }
  }
  if (lexical) {
    for (const [index, attention] of score) {
      score.set(index, Math.log(Math.max(0, attention) + FLOOR) + settings.lexical_weight * lexical[index]!);
    }
  }
  return [...score]
    .map(([index, value]) => ({ index, score: value }))
    .sort((a, b) => b.score - a.score || a.index - b.index);
}

/** `rankSentences` with BM25 counted in, as one score a sentence; -Infinity for one that has no token in the window. */
export function standings(scores: WindowScores, settings: ScanSettings, lexical: number[]): number[] {
  const found = new Array<number>(scores.sentences.length).fill(Number.NEGATIVE_INFINITY);
  for (const { index, score } of rankSentences(scores, settings, lexical)) found[index] = score;
  return found;
}

/** Attention below a thousandth of a window's is noise. */
const FLOOR = 0.001;

/** Convolved importance of the window's tokens in one row, and whose sentence each is. */
function convolved({ sentences }: WindowScores, width: number): { phrases: Float32Array; owner: Int32Array } {
  const total = sentences.reduce((sum, { importance }) => sum + importance.length, 0);
  const flat = new Float32Array(total);
  const owner = new Int32Array(total);
  let at = 0;
  sentences.forEach(({ importance }, index) => {
    flat.set(importance, at);
    owner.fill(index, at, at + importance.length);
    at += importance.length;
  });
  return { phrases: convolvePhrases(flat, width), owner };
}

/**
 * The best sentences that fit `budget` tokens, in document order. The best one always stays, even when it alone is over the budget. Of
 * sentences that read the same one stays: a text that repeats itself would fill the cache with copies.
 */
export function keepWithin(
  ranked: Ranked[],
  sentences: { text: string; tokens: number }[],
  budget: number,
): number[] {
  const kept: number[] = [];
  const seen = new Set<string>();
  let used = 0;
  for (const { index } of ranked) {
    const { text, tokens } = sentences[index]!;
    if (kept.length > 0 && used + tokens > budget) continue;
    const words = text.trim();
    if (seen.has(words)) continue;
    seen.add(words);
    kept.push(index);
    used += tokens;
  }
  return kept.sort((a, b) => a - b);
}
