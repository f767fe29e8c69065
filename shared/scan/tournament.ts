import { keepWithin } from '../selection.ts';
import type { TokenizedSentence } from '../sentence.ts';
import { packWindow, totalTokens } from '../windows.ts';
import { keep } from './keep.ts';
import { type Outcome, type Plan, type Scan, type ScanState, startOf } from './state.ts';

/**
 * Round 0 scores every window of the documents apart from the others; each leaves its best `cache_tokens` tokens of sentences. The
 * survivors, packed into windows again, play the next round, until one window holds them all: its best `evidence_tokens` are the
 * evidence. Windows of a round do not depend on each other, so they can be scored side by side, and rounds are logarithmic in the length.
 */
export const tournament: Scan = {
  start: (settings, question) => startOf('tournament', settings, question),

  plan(state, ahead, complete): Plan {
    if (complete && ahead.length === 0) return { kind: 'advance', state: endRound(state) };
    const taken = packWindow(
      ahead,
      state.settings.window_tokens,
      complete,
      state.round === 0 ? 1 : eliminating(ahead, state.settings.cache_tokens),
    );
    if (taken === null) return { kind: 'more' };
    return { kind: 'window', window: { sentences: ahead.slice(0, taken), taken } };
  },

  absorb(state, window, scores): Outcome {
    const { sentences, ranked, kept, lexical } = keep(state, window, scores);
    const survivors = kept.map((i) => sentences[i]!);
    // Should this turn out to be the round's only window, nothing follows that would have to be small.
    const evidence = state.cursor === 0 ? keepWithin(ranked, sentences, state.settings.evidence_tokens) : [];
    return {
      state: {
        ...state,
        cursor: state.cursor + window.taken,
        read_tokens: state.read_tokens + totalTokens(sentences),
        survived_tokens: state.survived_tokens + totalTokens(survivors),
        cache: evidence.map((i) => sentences[i]!),
        lexical,
        windows: state.windows + 1,
      },
      survivors,
      kept: survivors.length,
      evicted: sentences.length - survivors.length,
    };
  },
};

/**
 * How many sentences a window from round 1 on must hold: two, and more than its survivors may be. A window that holds less eliminates
 * nothing (one over-long sentence; a window hardly larger than the cache), and the rounds would never end.
 */
function eliminating(ahead: TokenizedSentence[], cacheTokens: number): number {
  let used = 0;
  let count = 0;
  while (count < ahead.length && (count < 2 || used <= cacheTokens)) used += ahead[count++]!.tokens;
  return count;
}

/** A round of one window decides; any other is followed by a round over its survivors. */
function endRound(state: ScanState): ScanState {
  // A second window empties what the first has put there.
  if (state.cache.length > 0 || state.survived_tokens === 0) return { ...state, done: true };
  return { ...state, round: state.round + 1, cursor: 0, survived_tokens: 0, read_tokens: 0, cache: [] };
}
