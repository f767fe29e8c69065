import { packWindow, totalTokens } from '../windows.ts';
import { evidenceOf, type Kept, keep, runnersUp } from './keep.ts';
import { type Outcome, type Plan, type RunnerUp, type Scan, type ScanState, startOf } from './state.ts';

/**
 * The paper's loop: every window carries the cache, and old sentences compete again in each (InfiniRetri, section 3). Beyond the paper,
 * the best of those that lost stand by until the end: whoever answers may read more than a window can carry.
 */
export const sequential: Scan = {
  start: (settings, question) => startOf('sequential', settings, question),

  plan(state, ahead, complete): Plan {
    if (complete && ahead.length === 0) return { kind: 'advance', state: ended(state) };
    const room = state.settings.window_tokens - totalTokens(state.cache);
    const taken = packWindow(ahead, room, complete);
    if (taken === null) return { kind: 'more' };
    return { kind: 'window', window: { sentences: [...state.cache, ...ahead.slice(0, taken)], taken } };
  },

  absorb(state, window, scores): Outcome {
    const outcome = keep(state, window, scores);
    const { sentences, kept, lexical } = outcome;
    const carried = state.cache.length;
    const cache = kept.map((i) => sentences[i]!);
    const fresh = kept.filter((i) => i >= carried).length;
    return {
      state: {
        ...state,
        cursor: state.cursor + window.taken,
        read_tokens: state.read_tokens + totalTokens(sentences.slice(carried)),
        survived_tokens: totalTokens(cache),
        cache,
        runners_up: losers(state, outcome),
        lexical,
        windows: state.windows + 1,
      },
      survivors: [],
      kept: fresh,
      evicted: carried - (kept.length - fresh),
    };
  },
};

/** A score of another window is as good as one of this: both hold a full cache, the best of the text so far, beside what is new. */
const losers = (state: ScanState, outcome: Kept): RunnerUp[] =>
  runnersUp(state, outcome, new Set(outcome.kept.map((i) => outcome.sentences[i]!.text.trim())));

/** The evidence in the cache's place. */
const ended = (state: ScanState): ScanState => ({
  ...state,
  cache: evidenceOf(state.cache, state.runners_up),
  runners_up: [],
  done: true,
});
