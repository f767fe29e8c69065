import type { WindowScores } from '../attention.ts';
import { scoreLexically } from '../lexical.ts';
import { keepWithin, type Ranked, rankSentences } from '../selection.ts';
import type { Placed, ScanState, Window } from './state.ts';

/** What becomes of a scored window. */
export interface Kept {
  /** The window's sentences with their places in the round's input. */
  sentences: Placed[];
  /** Best first. */
  ranked: Ranked[];
  /** Indices of those that stay within `cache_tokens`, in document order. */
  kept: number[];
  /** The question's words counted so far. */
  lexical: ScanState['lexical'];
}

export function keep(state: ScanState, { sentences, taken }: Window, scores: WindowScores): Kept {
  const { settings, cursor, round } = state;
  // What a later round reads has been counted in the first.
  const fresh = round === 0 ? taken : 0;
  const texts = sentences.map((s) => s.text);
  const words = state.lexical && scoreLexically(state.lexical, texts, fresh);
  const ranked = rankSentences(scores, settings, words?.scores);
  const carried = sentences.length - taken;
  return {
    sentences: sentences.map((s, i) =>
      i < carried ? state.cache[i]! : { ...s, place: cursor + i - carried },
    ),
    ranked,
    kept: keepWithin(ranked, sentences, settings.cache_tokens),
    lexical: words?.counts ?? null,
  };
}
