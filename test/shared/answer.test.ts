import { describe, expect, it } from 'vitest';
import { type AnswerSettings, bestSpan, readAnswer, relevanceOf } from '../../shared/answer.ts';

const row = (...values: number[]) => Float32Array.from(values);

describe('the best span', () => {
  it('ends at or after its start', () => {
    expect(bestSpan(row(0, 0, 9), row(9, 0, 1), [0, 0, 0], 64)).toEqual({ first: 2, last: 2 });
  });

  it('crosses into the next sentence but no further', () => {
    const [starts, ends] = [row(5, 0, 0), row(0, 4, 9)];
    expect(bestSpan(starts, ends, [0, 1, 1], 64)).toEqual({ first: 0, last: 2 });
    expect(bestSpan(starts, ends, [0, 1, 2], 64)).toEqual({ first: 0, last: 1 });
  });

  it('is no longer than the limit', () => {
    expect(bestSpan(row(5, 0, 0), row(0, 1, 9), [0, 0, 0], 2)).toEqual({ first: 1, last: 2 });
  });
});

describe('the relevance of sentences', () => {
  it('is the share of their tokens beside that of "not answered"', () => {
    const { none, relevance } = relevanceOf({ tokens: row(0, 0, Math.log(5)), none: 0 }, [0, 0, 2], 4);
    expect(none).toBeCloseTo(1 / 8);
    expect(relevance).toHaveLength(4);
    for (const [i, share] of [2 / 8, 0, 5 / 8, 0].entries()) expect(relevance[i]).toBeCloseTo(share);
  });

  it('stays finite for scores that exp() does not hold', () => {
    expect(relevanceOf({ tokens: row(2000, 1000), none: 0 }, [0, 1], 2)).toEqual({
      none: 0,
      relevance: [1, 0],
    });
  });
});

describe('an answer', () => {
  const settings: AnswerSettings = {
    max_tokens: 64,
    bias: 0.5,
    span_weight: 2,
    evidence_weight: 3,
    threshold: 0.5,
    relevance_weight: 0,
  };
  const flat = { tokens: row(0, 0), none: 0 };
  /** Two sentences of a token each; that one of them answers stands at odds of 19 to 1, and the second of them at 18 to 2. */
  const evidence = { tokens: row(Math.log(1), Math.log(18)), none: 0 };

  it('is as likely as its margin over "not answered" and the evidence make it', () => {
    const start = { tokens: row(1, 0.5), none: 0.25 };
    const { span, confidence } = readAnswer({ start, end: flat, evidence }, [0, 1], 2, settings);
    expect(span).toEqual({ first: 0, last: 0 });
    expect(Math.log(confidence / (1 - confidence))).toBeCloseTo(2 * 0.75 + 3 * Math.log(19) - 0.5, 4);
  });

  it('stands in the sentence of more relevance where that counts, at the margin of its own scores', () => {
    const start = { tokens: row(1, 0.5), none: 0.25 };
    const weighed = { ...settings, relevance_weight: 1 };
    const { span, confidence } = readAnswer({ start, end: flat, evidence }, [0, 1], 2, weighed);
    expect(span).toEqual({ first: 1, last: 1 });
    expect(Math.log(confidence / (1 - confidence))).toBeCloseTo(2 * 0.25 + 3 * Math.log(19) - 0.5, 4);
  });

  it('has a confidence below 1 and above 0 whatever is certain', () => {
    for (const none of [-100, 100]) {
      const { confidence } = readAnswer(
        { start: flat, end: flat, evidence: { tokens: row(0, 0), none } },
        [0, 1],
        2,
        { ...settings, evidence_weight: 1 },
      );
      expect(confidence).toBeGreaterThan(0);
      expect(confidence).toBeLessThan(1);
    }
  });
});
