import { describe, expect, it } from 'vitest';
import { codePoints, wholeWords } from '../../workers/answer/span.ts';

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
