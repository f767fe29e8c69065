import { describe, expect, it } from 'vitest';
import { convolvePhrases, topIndices } from '../../shared/importance.ts';

const convolve = (values: number[], width: number) =>
  Array.from(convolvePhrases(Float32Array.from(values), width));

/** By hand from InfiniRetri's formula: a kernel of ones, zero-padded; position i sums i - floor(k/2) … i + ceil(k/2) - 1. */
describe('convolvePhrases', () => {
  it('width 8: position i sums i-4 … i+3', () => {
    expect(convolve([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 8)).toEqual([10, 15, 21, 28, 36, 44, 52, 49, 45, 40]);
    expect(convolve([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], 8)).toEqual([0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0]);
  });

  it('width 1 changes nothing', () => expect(convolve([3, 1, 2], 1)).toEqual([3, 1, 2]));

  it('odd widths are centred, even ones reach one further back', () => {
    expect(convolve([1, 2, 3, 4], 3)).toEqual([3, 6, 9, 7]);
    expect(convolve([1, 2, 3, 4], 2)).toEqual([1, 3, 5, 7]);
    expect(convolve([1, 2, 3, 4, 5], 4)).toEqual([3, 6, 10, 14, 12]);
  });

  it('a window shorter than the kernel', () => {
    expect(convolve([1, 2, 3], 8)).toEqual([6, 6, 6]);
    expect(convolve([5], 8)).toEqual([5]);
    expect(convolve([1, 2, 4, 8, 16, 32], 8)).toEqual([15, 31, 63, 63, 63, 62]);
    expect(convolve([], 8)).toEqual([]);
  });

  it('refuses a width that is none', () => {
    for (const width of [0, -1, 1.5, Number.NaN]) expect(() => convolve([1], width)).toThrow(RangeError);
  });
});

describe('topIndices', () => {
  it('takes the largest, ties to the earlier', () => {
    expect(topIndices(Float32Array.of(1, 3, 2, 3, 0), 3).sort()).toEqual([1, 2, 3]);
    expect(topIndices(Float32Array.of(7, 7, 7, 7), 2).sort()).toEqual([0, 1]);
    expect(topIndices(Float32Array.of(1, 2), 5).sort()).toEqual([0, 1]);
  });
});
