import { describe, expect, it } from 'vitest';
import { clauseEnd, codePoints, wholeWords } from '../../workers/answer/span.ts';

describe('the end of a clause', () => {
  // Tokens of one character each.
  const reads = (text: string) => () => ({ text, bytes: [...text].map(() => 1) });
  const ends = (...values: number[]) => Float32Array.from(values);
  const owner = new Array<number>(11).fill(0);
  const list = reads('a b, c d e.');

  it('wins a tie where a list goes on', () => {
    const tied = ends(0, 0, 5, 0, 0, 4.8, 0, 0, 0, 4.6, 0);
    expect(clauseEnd({ first: 0, last: 2 }, tied, owner, list)).toBe(9);
  });

  it('loses when its score is lower', () => {
    const lower = ends(0, 0, 5, 0, 0, 4.8, 0, 0, 0, 4, 0);
    expect(clauseEnd({ first: 0, last: 2 }, lower, owner, list)).toBe(2);
  });

  it('may lose by more where the span stops before "and"', () => {
    const lower = ends(-9, -9, 5, -9, -9, -9, -9, -9, -9, 1, -9);
    expect(clauseEnd({ first: 0, last: 2 }, lower, owner, reads('a b and de.'))).toBe(9);
    expect(clauseEnd({ first: 0, last: 2 }, lower, owner, reads('a b, and e.'))).toBe(2);
  });

  it('is sought where a list has begun, and not where there is none', () => {
    const tied = ends(0, 0, 0, 0, 0, 5, 0, 0, 0, 4.9, 0);
    expect(clauseEnd({ first: 2, last: 5 }, tied, owner, list)).toBe(9);
    expect(clauseEnd({ first: 5, last: 5 }, tied, owner, list)).toBe(5);
  });

  it('is not sought for a longer span', () => {
    const tied = ends(0, 0, 0, 0, 0, 0, 0, 5, 0, 4.9, 0);
    expect(clauseEnd({ first: 2, last: 7 }, tied, owner, list)).toBe(9);
    expect(clauseEnd({ first: 0, last: 7 }, tied, owner, list)).toBe(7);
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

it.each([
  ['The pass is 71432.', 12, 15, '71432'],
  ['Ask Miss Abernathy first.', 4, 14, 'Miss Abernathy'],
  ['It was 14:05 then.', 7, 9, '14'],
  ['林秀兰去送他。', 0, 3, '林秀兰'],
  ['café 🚢 Ängström', 7, 9, 'Ängström'],
])('widens a span of %j to whole words', (text, start, end, whole) => {
  const span = wholeWords({ sentence: 0, start, end }, text);
  expect([...text].slice(span.start, span.end).join('')).toBe(whole);
});
