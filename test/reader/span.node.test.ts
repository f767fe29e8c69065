import { describe, expect, it } from 'vitest';
import { clauseEnd, codePoints } from '../../workers/answer/span.ts';

describe('the end of a clause', () => {
  // Tokens of one character each.
  const read = () => ({ text: 'a b, c.', bytes: [1, 1, 1, 1, 1, 1, 1] });
  const ends = (...values: number[]) => Float32Array.from(values);
  const owner = [0, 0, 0, 0, 0, 0, 0];

  it('wins a tie', () => {
    expect(clauseEnd({ first: 0, last: 0 }, ends(5, 0, 4.8, 0, 0, 4.6, 0), owner, read)).toBe(5);
  });

  it('loses when its score is lower', () => {
    expect(clauseEnd({ first: 0, last: 0 }, ends(5, 0, 4.8, 0, 0, 4, 0), owner, read)).toBe(2);
    expect(clauseEnd({ first: 0, last: 0 }, ends(5, 4.9, 4, 0, 0, 4, 0), owner, read)).toBe(0);
  });

  it('is not sought for a longer span', () => {
    expect(clauseEnd({ first: 0, last: 8 }, ends(0, 0, 5, 0, 0, 4.9, 0, 0, 5), owner, read)).toBe(8);
  });
});

describe('code points of tokens', () => {
  it('follows bytes through wide characters', () => {
    // é is 2 bytes, 語 3, 👩 4.
    expect(codePoints('aé語👩z', [1, 2, 3, 4, 1], 1, 4)).toEqual({ start: 1, end: 4 });
  });

  it('takes the whole character that a token cuts', () => {
    // 語 in three tokens of a byte each.
    expect(codePoints('a語z', [1, 1, 1, 1, 1], 2, 3)).toEqual({ start: 1, end: 2 });
  });
});
