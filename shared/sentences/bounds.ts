import { isSpace } from './punctuation.ts';

/** UTF-8 bytes of the code point at `i`; a lone surrogate counts as the three bytes of U+FFFD that it encodes to. */
export function utf8Width(text: string, i: number): number {
  const c = text.charCodeAt(i);
  if (c < 0x80) return 1;
  if (c < 0x800) return 2;
  if ((c & 0xfc00) === 0xd800 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) return 4;
  return 3;
}

const CLAUSE = new Set(Array.from(',;:)]}，、；：）」』】》”’—–،؛'));
/** Marks that belong to the character before them: accents, joiners, variation selectors, skin tones. */
const EXTENDS = /^(?:\p{M}|\u200d|[\u{1f3fb}-\u{1f3ff}]|[\u{e0020}-\u{e007f}])/u;
const FLAG = /^[\u{1f1e6}-\u{1f1ff}]/u;
/** Units looked at for the start of a character made of several code points; a longer one is no real text. */
const GRAPHEME_UNITS = 48;

/**
 * Where to cut a sentence that would be over its bound at `limit`: after the last white space or clause mark of its second half, or
 * else before `limit`'s own character, never inside a code point.
 *
 * @returns an index with from < index ≤ limit
 */
export function cutAt(text: string, from: number, limit: number): number {
  const half = from + ((limit - from) >> 1);
  if (isSpace(text.charCodeAt(limit - 1))) return limit;
  for (let i = limit; i > half; i--) {
    const before = text.charCodeAt(i - 1);
    if (isSpace(before)) return i;
    // A comma inside a number or a file name is none; the one of Chinese and Japanese needs no space after it.
    if (CLAUSE.has(text[i - 1]!) && (before > 0x7f || isSpace(text.charCodeAt(i)))) return i;
  }
  for (let i = limit; i > half; i--) if (CLAUSE.has(text[i - 1]!)) return i;
  for (let i = limit; i > half && limit - i < GRAPHEME_UNITS; i--)
    if (startsCharacter(text, from, i)) return i;
  return limit;
}

function startsCharacter(text: string, from: number, i: number): boolean {
  const c = text.charCodeAt(i);
  const before = text.charCodeAt(i - 1);
  if ((c & 0xfc00) === 0xdc00 && (before & 0xfc00) === 0xd800) return false;
  if (before === 0x200d) return false;
  if (c < 0x300) return true;
  const here = String.fromCodePoint(text.codePointAt(i)!);
  if (EXTENDS.test(here)) return false;
  if (!FLAG.test(here)) return true;
  // Regional indicators pair up into flags from the start of their run.
  let run = 0;
  for (let k = i - 2; k >= from && FLAG.test(text.slice(k, k + 2)); k -= 2) run++;
  return run % 2 === 0;
}
