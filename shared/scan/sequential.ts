import { packWindow, totalTokens } from '../windows.ts';
import { keep } from './keep.ts';
import { type Outcome, type Plan, type Scan, startOf } from './state.ts';

/** The paper's loop: every window carries the cache, and old sentences compete again in each (InfiniRetri, section 3). */
export const sequential: Scan = {
  start: (settings, question) => startOf('sequential', settings, question),

  plan(state, ahead, complete): Plan {
    if (complete && ahead.length === 0) return { kind: 'advance', state: { ...state, done: true } };
    const room = state.settings.window_tokens - totalTokens(state.cache);
    const taken = packWindow(ahead, room, complete);
    if (taken === null) return { kind: 'more' };
    return { kind: 'window', window: { sentences: [...state.cache, ...ahead.slice(0, taken)], taken } };
  },

  absorb(state, window, scores): Outcome {
    const { sentences, taken } = window;
    const { kept, lexical } = keep(state, window, scores);
    const cache = kept.map((i) => sentences[i]!);
    const fresh = kept.filter((i) => i >= state.cache.length).length;
    return {
      state: {
        ...state,
        cursor: state.cursor + taken,
        read_tokens: state.read_tokens + totalTokens(sentences.slice(sentences.length - taken)),
        survived_tokens: totalTokens(cache),
        cache,
        lexical,
        windows: state.windows + 1,
      },
      survivors: [],
      kept: fresh,
      evicted: state.cache.length - (kept.length - fresh),
    };
  },
};
