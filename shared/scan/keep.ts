import type { WindowScores } from '../attention.ts';
import { neighbourhood, scoreLexically } from '../lexical.ts';
import { keepWithin, type Ranked, rankSentences } from '../selection.ts';
import type { Placed, ScanState, Window } from './state.ts';

/** What becomes of a scored window. */
export interface Kept {
  /** The window's sentences with their places. */
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
  const carried = sentences.length - taken;
  const placed = sentences.map((s, i) =>
    // A survivor has kept the place that it had in the first round.
    i < carried ? state.cache[i]! : { place: cursor + i - carried, ...s },
  );
  // What a later round reads has been counted in the first, and its neighbours are gone.
  const fresh = round === 0 ? taken : 0;
  if (state.lexical && fresh > 0) {
    const near = neighbourhood(state.lexical.terms, placed.slice(carried));
    for (let i = 0; i < fresh; i++) placed[carried + i] = { ...placed[carried + i]!, near: near[i]! };
  }
  const words = state.lexical && scoreLexically(state.lexical, placed, fresh);
  const ranked = rankSentences(scores, settings, words?.scores);
  return {
    sentences: placed,
    ranked,
    kept: keepWithin(ranked, sentences, settings.cache_tokens),
    lexical: words?.counts ?? null,
  };
}
