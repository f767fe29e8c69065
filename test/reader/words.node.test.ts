import { expect, it } from 'vitest';
import { wholeWords } from '../../workers/answer/span.ts';

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
