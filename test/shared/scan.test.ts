import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ScanSettings, WindowScores } from '../../shared/attention.ts';
import { type ScanMode, type ScanState, scans, type Window } from '../../shared/scan/index.ts';
import type { TokenizedSentence } from '../../shared/sentence.ts';
import { totalTokens } from '../../shared/windows.ts';

const NEEDLE = 'needle';

/** A model that knows the needle: 1 a token there, less than a half elsewhere, the same every time a sentence is seen. */
const score = (window: Window): WindowScores => ({
  sentences: window.sentences.map(({ text, start, tokens }) => ({
    importance: Float32Array.from({ length: tokens }, (_, i) =>
      text === NEEDLE ? 1 : (((start * 7919 + i * 104729) % 1009) / 1009) * 0.49,
    ),
  })),
  sink: 0.5,
});

interface Run {
  state: ScanState;
  windows: { round: number; window: Window }[];
}

/** Drives a scan as a caller does: input handed over `ahead` sentences at a time, survivors stored for the next round. */
function drive(
  mode: ScanMode,
  settings: ScanSettings,
  input: TokenizedSentence[],
  ahead: number,
  json: boolean,
): Run {
  const scan = scans[mode];
  let state = scan.start(settings, 'where is the needle?');
  let round = input;
  let survivors: TokenizedSentence[] = [];
  let reach = ahead;
  const windows: Run['windows'] = [];
  for (let steps = 0; !state.done; steps++) {
    if (steps > 200 + input.length * 40) throw new Error('the scan does not end');
    if (json) state = JSON.parse(JSON.stringify(state));
    const next = round.slice(state.cursor, state.cursor + reach);
    const plan = scan.plan(state, next, state.cursor + next.length === round.length);
    if (plan.kind === 'more') {
      reach += ahead;
    } else if (plan.kind === 'advance') {
      state = plan.state;
      round = survivors;
      survivors = [];
    } else {
      windows.push({ round: state.round, window: plan.window });
      const outcome = scan.absorb(state, plan.window, score(plan.window));
      state = outcome.state;
      survivors.push(...outcome.survivors);
      reach = ahead;
    }
  }
  return { state, windows };
}

function documentOf(lengths: number[], needleAt: number, needleTokens: number): TokenizedSentence[] {
  const all = [...lengths];
  const at = Math.floor(needleAt * lengths.length);
  all.splice(at, 0, needleTokens);
  let start = 0;
  return all.map((tokens, i) => {
    const sentence = { document: 'd', text: i === at ? NEEDLE : `s${i}`, start, end: start + tokens, tokens };
    start += tokens;
    return sentence;
  });
}

const cases = fc.record({
  // Some sentences are longer than a whole window.
  lengths: fc.array(
    fc.oneof(
      { weight: 9, arbitrary: fc.integer({ min: 1, max: 40 }) },
      { weight: 1, arbitrary: fc.integer({ min: 60, max: 400 }) },
    ),
    { maxLength: 150, size: 'max' },
  ),
  needleAt: fc.double({ min: 0, max: 1, noNaN: true }),
  // As long as the phrase at least: its own best token then beats any that only borders on it.
  needleTokens: fc.integer({ min: 8, max: 60 }),
  ahead: fc.integer({ min: 1, max: 60 }),
  settings: fc
    .record({
      window_tokens: fc.integer({ min: 20, max: 300 }),
      cache_tokens: fc.integer({ min: 10, max: 120 }),
      evidence_tokens: fc.constantFrom(0, 30, 200),
      top_tokens: fc.integer({ min: 1, max: 300 }),
      phrase_tokens: fc.integer({ min: 1, max: 8 }),
      rank: fc.constant('peak' as const),
      lexical_weight: fc.constantFrom(0, 0.3),
    })
    .map((s) => ({ ...s, evidence_tokens: s.cache_tokens + s.evidence_tokens })),
});
const smallest: ScanSettings = {
  window_tokens: 10,
  cache_tokens: 5,
  evidence_tokens: 5,
  top_tokens: 1,
  phrase_tokens: 1,
  rank: 'peak',
  lexical_weight: 0,
};
/** The best sentence stays even where it alone is over the bound of the cache. */
const holdsOversized = ({ cache }: ScanState, { cache_tokens }: ScanSettings) =>
  cache.some((s) => s.tokens > cache_tokens);
const carried = ({ window }: Run['windows'][number]) =>
  totalTokens(window.sentences.slice(0, window.sentences.length - window.taken));
const ascending = (sentences: TokenizedSentence[]) =>
  sentences.every((s, i) => i === 0 || sentences[i - 1]!.start < s.start);

describe.each(['sequential', 'tournament'] as const)('%s scan', (mode) => {
  it('ends; reads every sentence once; keeps order, the bound and the needle', () => {
    fc.assert(
      fc.property(cases, ({ lengths, needleAt, needleTokens, ahead, settings }) => {
        const input = documentOf(lengths, needleAt, needleTokens);
        const { state, windows } = drive(mode, settings, input, ahead, false);
        const read = windows
          .filter((w) => w.round === 0)
          .flatMap(({ window }) => window.sentences.slice(-window.taken));
        expect(read).toEqual(input);
        expect(windows.every(({ window }) => ascending(window.sentences))).toBe(true);
        expect(ascending(state.cache)).toBe(true);
        expect(totalTokens(state.cache) <= settings.evidence_tokens || holdsOversized(state, settings)).toBe(
          true,
        );
        expect(
          windows.every(
            (w) => carried(w) <= settings.cache_tokens || w.window.sentences.length - w.window.taken === 1,
          ),
        ).toBe(true);
        expect(new Set(state.cache.map((s) => s.text)).size).toBe(state.cache.length);
        expect(state.cache.map((s) => s.text)).toContain(NEEDLE);
        expect(state.windows).toBe(windows.length);
      }),
      { numRuns: 400 },
    );
  }, 60_000);

  it('goes on from its JSON at any point, and does not mind how much input is at hand', () => {
    fc.assert(
      fc.property(
        cases,
        fc.integer({ min: 1, max: 60 }),
        ({ lengths, needleAt, needleTokens, ahead, settings }, other) => {
          const input = documentOf(lengths, needleAt, needleTokens);
          expect(drive(mode, settings, input, other, true)).toEqual(
            drive(mode, settings, input, ahead, false),
          );
        },
      ),
      { numRuns: 200 },
    );
  }, 60_000);

  it('an empty text is over at once, with nothing kept', () => {
    const plan = scans[mode].plan(scans[mode].start(smallest, 'q'), [], true);
    expect(plan).toMatchObject({ kind: 'advance', state: { done: true, cache: [], windows: 0 } });
  });

  it('waits for more input rather than score half a window', () => {
    const [only] = documentOf([], 0, 8);
    const state = scans[mode].start(smallest, 'q');
    expect(scans[mode].plan(state, [only!], false)).toEqual({ kind: 'more' });
    expect(scans[mode].plan(state, [only!], true)).toMatchObject({ kind: 'window', window: { taken: 1 } });
  });
});

describe('sequential scan', () => {
  it('brings back what the cache had no room for, where the evidence may hold more', () => {
    const input = documentOf([20, 20, 20, 20, 20, 20], 0.5, 20);
    const settings = { ...smallest, window_tokens: 60, cache_tokens: 20, top_tokens: 60 };
    const paper = drive('sequential', { ...settings, evidence_tokens: 20 }, input, 50, false).state.cache;
    const more = drive('sequential', { ...settings, evidence_tokens: 60 }, input, 50, false).state.cache;
    expect(paper.map((s) => s.text)).toEqual([NEEDLE]);
    expect(more).toHaveLength(3);
    expect(more).toEqual(expect.arrayContaining(paper));
    expect(ascending(more)).toBe(true);
  });
});

describe('tournament scan', () => {
  it('takes a logarithmic number of rounds', () => {
    const input = documentOf(
      Array.from({ length: 4000 }, () => 20),
      0.3,
      20,
    );
    const settings = {
      window_tokens: 500,
      cache_tokens: 100,
      evidence_tokens: 100,
      top_tokens: 60,
      phrase_tokens: 8,
      rank: 'peak' as const,
      lexical_weight: 0,
    };
    const { state, windows } = drive('tournament', settings, input, 50, false);
    expect(state.cache.map((s) => s.text)).toContain(NEEDLE);
    // Each round leaves a fifth at most: 80,000 tokens are down to one window of 500 after four.
    expect(Math.max(...windows.map((w) => w.round))).toBeLessThanOrEqual(4);
  });
});
