import { describe, expect, it } from 'vitest';
import type { ScanSettings, WindowScores } from '../../shared/attention.ts';
import { keepWithin, rankSentences } from '../../shared/selection.ts';

const settings = (some: Partial<ScanSettings>): ScanSettings => ({
  window_tokens: 100,
  cache_tokens: 30,
  evidence_tokens: 30,
  top_tokens: 3,
  phrase_tokens: 1,
  rank: 'peak',
  lexical_weight: 0,
  ...some,
});
const scores = (...sentences: number[][]): WindowScores => ({
  sentences: sentences.map((values) => ({ importance: Float32Array.from(values) })),
  sink: 0,
});

describe('rankSentences', () => {
  it('ranks by the best token the sentences that hold a top-K token', () => {
    expect(rankSentences(scores([1, 2], [9, 0], [0, 0], [5, 4]), settings({}))).toEqual([
      { index: 1, score: 9 },
      { index: 3, score: 5 },
    ]);
  });

  it('by mass: the sum over the sentence, among the same sentences', () => {
    expect(rankSentences(scores([1, 2], [6, 0], [0, 0], [5, 4]), settings({ rank: 'mass' }))).toEqual([
      { index: 3, score: 9 },
      { index: 1, score: 6 },
    ]);
  });

  it('phrases reach over the border of a sentence', () => {
    // Convolved with width 3: [0, 0, 4 | 4, 4, 0]: the first sentence holds a top token only through its neighbour.
    expect(
      rankSentences(scores([0, 0, 0], [4, 0, 0]), settings({ phrase_tokens: 3, top_tokens: 2 })),
    ).toEqual([
      { index: 0, score: 4 },
      { index: 1, score: 4 },
    ]);
  });

  it('ties go to the earlier sentence; sentences without tokens hold none', () => {
    expect(rankSentences(scores([2], [], [2], [2]), settings({ top_tokens: 2 })).map((r) => r.index)).toEqual(
      [0, 2],
    );
    expect(rankSentences(scores(), settings({}))).toEqual([]);
  });
});

describe("rankSentences with the question's words", () => {
  const both = settings({ rank: 'mass', lexical_weight: 0.5, top_tokens: 1 });

  it('adds the weighted score to the logarithm of the attention, whatever the top-K', () => {
    const ranked = rankSentences(scores([0.5], [0.1, 0.1], [0]), both, [0, 4, 2]);
    expect(ranked.map((r) => r.index)).toEqual([1, 0, 2]);
    const by = [Math.log(0.201) + 2, Math.log(0.501), Math.log(0.001) + 1];
    ranked.forEach(({ score }, i) => {
      expect(score).toBeCloseTo(by[i]!, 5);
    });
  });

  it('a sentence without tokens has no standing', () =>
    expect(rankSentences(scores([], [1]), both, [9, 0]).map((r) => r.index)).toEqual([1]));
});

describe('keepWithin', () => {
  const ranked = [3, 0, 2, 1].map((index, i) => ({ index, score: 10 - i }));
  const long = (tokens: number[]) => tokens.map((n, i) => ({ text: `sentence ${i}. `, tokens: n }));

  it('fills the budget best first and gives document order', () => {
    expect(keepWithin(ranked, long([10, 10, 10, 10]), 30)).toEqual([0, 2, 3]);
    expect(keepWithin(ranked, long([10, 10, 10, 10]), 100)).toEqual([0, 1, 2, 3]);
  });

  it('passes over a sentence too long for what is left', () =>
    expect(keepWithin(ranked, long([25, 5, 10, 10]), 30)).toEqual([1, 2, 3]));

  it('keeps the best one even when it alone is over the budget', () =>
    expect(keepWithin(ranked, long([1, 1, 1, 90]), 30)).toEqual([3]));

  it('keeps one of those that read the same', () => {
    const copies = ['again. ', 'other. ', 'again.\n', 'once. '].map((text) => ({ text, tokens: 10 }));
    expect(keepWithin(ranked, copies, 100)).toEqual([0, 1, 3]);
  });

  it('nothing from nothing', () => expect(keepWithin([], [], 30)).toEqual([]));
});
