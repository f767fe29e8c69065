import type { WindowScores } from '../attention.ts';
import { scoreLexically } from '../lexical.ts';
import { keepWithin, rankSentences } from '../selection.ts';
import type { ScanState, Window } from './state.ts';

/**
 * What of a scored window stays within `cache_tokens`.
 *
 * @returns indices of the window's sentences in document order, and the words counted so far
 */
export function keep(
  { settings, lexical, round }: ScanState,
  { sentences, taken }: Window,
  scores: WindowScores,
): { kept: number[]; lexical: ScanState['lexical'] } {
  // What a later round reads has been counted in the first.
  const fresh = round === 0 ? taken : 0;
  const texts = sentences.map((s) => s.text);
  const words = lexical && scoreLexically(lexical, texts, fresh);
  const ranked = rankSentences(scores, settings, words?.scores);
  return { kept: keepWithin(ranked, sentences, settings.cache_tokens), lexical: words?.counts ?? null };
}
