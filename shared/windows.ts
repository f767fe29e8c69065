import type { TokenizedSentence } from './sentence.ts';

/**
 * How many whole sentences from the front of `ahead` fit `budget` tokens: at least `atLeast`, so that a scan always moves on. A window
 * over the budget is the backend's to trim (it reads the heads of its longest sentences).
 *
 * @returns the count, or null when `ahead` ends before the budget does and `complete` is false
 */
export function packWindow(
  ahead: TokenizedSentence[],
  budget: number,
  complete: boolean,
  atLeast = 1,
): number | null {
  let used = 0;
  for (let i = 0; i < ahead.length; i++) {
    used += ahead[i]!.tokens;
    if (used > budget && i >= atLeast) return i;
  }
  return complete && ahead.length > 0 ? ahead.length : null;
}

export const totalTokens = (sentences: TokenizedSentence[]): number =>
  sentences.reduce((sum, s) => sum + s.tokens, 0);
