import type { TokenizedSentence } from './sentence.ts';

/**
 * How many whole sentences from the front of `ahead` fit `budget` tokens: at least one, so that a scan always moves on
 * (a sentence over the budget makes a window of its own).
 *
 * @returns the count, or null when `ahead` ends before the budget does and `complete` is false
 */
export function packWindow(ahead: TokenizedSentence[], budget: number, complete: boolean): number | null {
  let used = 0;
  for (let i = 0; i < ahead.length; i++) {
    used += ahead[i]!.tokens;
    if (used > budget) return Math.max(1, i);
  }
  return complete && ahead.length > 0 ? ahead.length : null;
}

export const totalTokens = (sentences: TokenizedSentence[]): number => sentences.reduce((sum, s) => sum + s.tokens, 0);
