import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AnswerSettings, bestSpan, readAnswer, spanMass } from '../../shared/answer.ts';

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

describe('the mass of the spans of a sentence', () => {
  it('is the sum over those inside it', () => {
    const mass = spanMass(row(0, 0, 1), row(0, 0, 2), [0, 0, 2], 4, 64);
    expect(mass[0]).toBeCloseTo(Math.log(3));
    expect(mass[2]).toBeCloseTo(3);
    expect([mass[1], mass[3]]).toEqual([Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]);
  });

  it('counts no span over the limit', () => {
    expect(spanMass(row(0, 0), row(0, 0), [0, 0], 1, 1)[0]).toBeCloseTo(Math.log(2));
  });

  it('stays finite for scores that exp() does not hold', () => {
    expect(spanMass(row(2000), row(1000), [0], 1, 64)).toEqual([3000]);
  });
});

describe('an answer', () => {
  const settings: AnswerSettings = {
    ...any,
    bias: 0.5,
    temperature: 2,
    threshold: 0.5,
    standing_weight: 0,
    sharpness: 1,
  };
  const scores = { starts: row(1, 0.5), ends: row(0, 0), none: 0.25 };
  const logit = (p: number) => Math.log(p / (1 - p));

  it('is as likely as its margin over "not answered" makes it', () => {
    const { span, confidence } = readAnswer(scores, [0, 1], [0, 0], settings);
    expect(span).toEqual({ first: 0, last: 0 });
    expect(logit(confidence)).toBeCloseTo((0.75 - 0.5) / 2, 5);
  });

  it('stands in the sentence of the better standing where that counts, at the margin of its own scores', () => {
    const weighed = { ...settings, standing_weight: 1 };
    const { span, confidence, relevance } = readAnswer(scores, [0, 1], [-2, 0], weighed);
    expect(span).toEqual({ first: 1, last: 1 });
    expect(logit(confidence)).toBeCloseTo((0.25 - 0.5) / 2, 5);
    expect(relevance[1]!).toBeGreaterThan(relevance[0]!);
  });

  it('has shares of relevance that are its confidence in all', () => {
    const number = fc.float({ min: -500, max: 500, noNaN: true });
    const token = fc.tuple(number, number, fc.nat(6));
    fc.assert(
      fc.property(fc.array(token, { minLength: 1, maxLength: 40 }), number, (tokens, none) => {
        const owner = tokens.map(([, , sentence]) => sentence).sort((a, b) => a - b);
        const standing = Array.from({ length: 7 }, (_, i) =>
          owner.includes(i) ? -i : Number.NEGATIVE_INFINITY,
        );
        const starts = row(...tokens.map(([start]) => start));
        const ends = row(...tokens.map(([, end]) => end));
        const { span, confidence, relevance } = readAnswer({ starts, ends, none }, owner, standing, {
          ...settings,
          standing_weight: 1.5,
        });
        expect(span.first).toBeLessThanOrEqual(span.last);
        expect(span.last).toBeLessThan(owner.length);
        expect(relevance.reduce((sum, share) => sum + share, 0)).toBeCloseTo(confidence, 6);
        relevance.forEach((share, i) => {
          if (!owner.includes(i)) expect(share).toBe(0);
        });
      }),
    );
  });
});
