import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AnswerSettings, bestSpan, readAnswer, sharesOf } from '../../shared/answer.ts';

const row = (...values: number[]) => Float32Array.from(values);

const any = { max_tokens: 64, length_penalty: 0, free_tokens: 0 };

describe('the best span', () => {
  it('ends at or after its start', () => {
    expect(bestSpan(row(0, 0, 9), row(9, 0, 1), [0, 0, 0], any)).toEqual({ first: 2, last: 2 });
  });

  it('crosses into the next sentence but no further', () => {
    const [starts, ends] = [row(5, 0, 0), row(0, 4, 9)];
    expect(bestSpan(starts, ends, [0, 1, 1], any)).toEqual({ first: 0, last: 2 });
    expect(bestSpan(starts, ends, [0, 1, 2], any)).toEqual({ first: 0, last: 1 });
  });

  it('is no longer than the limit', () => {
    expect(bestSpan(row(5, 0, 0), row(0, 1, 9), [0, 0, 0], { ...any, max_tokens: 2 })).toEqual({
      first: 1,
      last: 2,
    });
  });
});

describe('a long span', () => {
  it('pays for each token over those that are free', () => {
    const length = { max_tokens: 64, length_penalty: 1, free_tokens: 2 };
    const [starts, ends] = [row(5, 0, 0, 0), row(0, 3, 3.5, 6)];
    expect(bestSpan(starts, ends, [0, 0, 0, 0], length)).toEqual({ first: 0, last: 3 });
    expect(bestSpan(starts, row(0, 3, 3.5, 4.5), [0, 0, 0, 0], length)).toEqual({ first: 0, last: 1 });
  });
});

describe('the shares of sentences', () => {
  it('are those of their tokens beside "not answered"', () => {
    const { nowhere, shares } = sharesOf(row(0, 0, Math.log(5)), 0, [0, 0, 2], 4);
    expect(nowhere).toBeCloseTo(1 / 8);
    expect(shares).toHaveLength(4);
    for (const [i, share] of [2 / 8, 0, 5 / 8, 0].entries()) expect(shares[i]).toBeCloseTo(share);
  });

  it('stay finite for scores that exp() does not hold', () => {
    expect(sharesOf(row(2000, 1000), 0, [0, 1], 2)).toEqual({ nowhere: 0, shares: [1, 0] });
  });
});

describe('an answer', () => {
  const settings: AnswerSettings = {
    ...any,
    standing_weight: 0,
    bias: 0.5,
    temperature: 2,
    threshold: 0.5,
  };
  /** Two sentences of a token each; that one of them answers stands at odds of 19 to 1. */
  const scores = {
    start: row(3, 1),
    end: row(0, 0),
    evidence: row(Math.log(9.5), Math.log(9.5)),
    none: 0,
  };
  const logit = (p: number) => Math.log(p / (1 - p));

  it('is as likely as the evidence makes it', () => {
    const { span, confidence } = readAnswer(scores, [0, 1], [0, 0], settings);
    expect(span).toEqual({ first: 0, last: 0 });
    expect(logit(confidence)).toBeCloseTo((Math.log(19) - 0.5) / 2, 5);
  });

  it('stands in the sentence that is the better evidence', () => {
    const evidence = row(Math.log(1), Math.log(18));
    const { span, relevance } = readAnswer({ ...scores, evidence }, [0, 1], [0, 0], settings);
    expect(span).toEqual({ first: 1, last: 1 });
    expect(relevance[1]! / relevance[0]!).toBeCloseTo(18, 1);
  });

  it('stands in the sentence of the better standing where that counts', () => {
    const weighed = { ...settings, standing_weight: 1.5 };
    const { span, confidence, relevance } = readAnswer(scores, [0, 1], [-2, 0], weighed);
    expect(span).toEqual({ first: 1, last: 1 });
    expect(logit(confidence)).toBeCloseTo((Math.log(19) - 0.5) / 2, 5);
    expect(Math.log(relevance[1]! / relevance[0]!)).toBeCloseTo(3, 5);
  });

  it('has shares of relevance that are its confidence in all', () => {
    const number = fc.float({ min: -500, max: 500, noNaN: true });
    const token = fc.tuple(number, number, number, fc.nat(6));
    fc.assert(
      fc.property(fc.array(token, { minLength: 1, maxLength: 40 }), number, (tokens, none) => {
        const owner = tokens.map(([, , , sentence]) => sentence).sort((a, b) => a - b);
        const standing = Array.from({ length: 7 }, (_, i) =>
          owner.includes(i) ? -i : Number.NEGATIVE_INFINITY,
        );
        const column = (at: 0 | 1 | 2) => row(...tokens.map((token) => token[at]));
        const { span, confidence, relevance } = readAnswer(
          { start: column(0), end: column(1), evidence: column(2), none },
          owner,
          standing,
          { ...settings, standing_weight: 1.5 },
        );
        expect(span.first).toBeLessThanOrEqual(span.last);
        expect(span.last).toBeLessThan(owner.length);
        expect(confidence).toBeGreaterThan(0);
        expect(confidence).toBeLessThan(1);
        expect(relevance.reduce((sum, share) => sum + share, 0)).toBeCloseTo(confidence, 6);
        relevance.forEach((share, i) => {
          if (!owner.includes(i)) expect(share).toBe(0);
        });
      }),
    );
  });
});
