import { keepWithin } from '../selection.ts';
import { packWindow, totalTokens } from '../windows.ts';
import { type Kept, keep } from './keep.ts';
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
        runners_up: runnersUp(state, outcome),
        lexical,
        windows: state.windows + 1,
      },
      survivors: [],
      kept: fresh,
      evicted: carried - (kept.length - fresh),
    };
  },
};

/**
 * The best that the cache has no room for, of this window and those before, within what the evidence may hold beyond the cache. A score
 * of another window is as good as one of this: both hold a full cache, the best of the text so far, beside what is new.
 */
function runnersUp({ settings, runners_up }: ScanState, { sentences, ranked, kept }: Kept): RunnerUp[] {
  const room = settings.evidence_tokens - settings.cache_tokens;
  const cached = new Set(kept.map((i) => sentences[i]!.text.trim()));
  const rivals = ranked
    .map(({ index, score }) => ({ ...sentences[index]!, score }))
    .concat(runners_up)
    .filter(({ text, tokens }) => tokens <= room && !cached.has(text.trim()))
    .sort((a, b) => b.score - a.score || a.place - b.place);
  const order = rivals.map(({ score }, index) => ({ index, score }));
  return keepWithin(order, rivals, room).map((i) => rivals[i]!);
}

/** The evidence in the cache's place. */
function ended(state: ScanState): ScanState {
  const evidence = [...state.cache, ...state.runners_up.map(({ score, ...sentence }) => sentence)];
  return { ...state, cache: evidence.sort((a, b) => a.place - b.place), runners_up: [], done: true };
}
