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
 * The sentences that hold at least one of the window's top-K tokens after the phrase convolution, best first
 * (InfiniRetri, section 3.3, steps 5 and 6 of the loop).
 */
export function rankSentences(scores: WindowScores, settings: ScanSettings): Ranked[] {
  const lengths = scores.sentences.map((s) => s.importance.length);
  const flat = new Float32Array(lengths.reduce((sum, n) => sum + n, 0));
  const owner = new Int32Array(flat.length);
  let at = 0;
  scores.sentences.forEach(({ importance }, index) => {
    flat.set(importance, at);
    owner.fill(index, at, at + importance.length);
    at += importance.length;
  });
  const phrases = convolvePhrases(flat, settings.phrase_tokens);
  const score = new Map<number, number>();
  for (const token of topIndices(phrases, settings.top_tokens)) {
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
  return [...score]
    .map(([index, value]) => ({ index, score: value }))
    .sort((a, b) => b.score - a.score || a.index - b.index);
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
