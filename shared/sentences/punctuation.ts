import { joinsAbbreviation } from './abbreviations.ts';

/** 1: needs white space after it (Latin and its kin); 2: ends wherever it stands (Chinese, Japanese, Hindi). */
export const TERMINATORS = new Uint8Array(65536);
for (const c of '.!?…؟۔։።') TERMINATORS[c.charCodeAt(0)] = 1;
for (const c of '。！？｡．।॥') TERMINATORS[c.charCodeAt(0)] = 2;

const CLOSERS = new Set(Array.from('"\'”’»›)]}*_」』）】》〉〕｣').map((c) => c.charCodeAt(0)));
/** What goes on after a closing quote without a new sentence: 「はい。」と言った. */
const QUOTE_PARTICLES = new Set(Array.from('とのっなだで、，'));
/** Characters after which nothing new begins. */
const CONTINUES = new Set(Array.from(',;:)]}%/=+&<、，；：'));

export function isSpace(c: number): boolean {
  if (c === 32 || (c >= 9 && c <= 13)) return true;
  if (c < 0x85) return false;
  return (
    c === 0x85 ||
    c === 0xa0 ||
    c === 0x3000 ||
    (c >= 0x2000 && c <= 0x200a) ||
    c === 0x2028 ||
    c === 0x2029 ||
    c === 0x202f ||
    c === 0x205f ||
    c === 0x1680
  );
}

const isDigit = (c: number) => c >= 48 && c <= 57;

/**
 * Whether the terminator at `i` ends the sentence that began at `from`.
 *
 * @returns the index after the terminators and closing marks that belong together: positive when the sentence ends there, negative
 * when it goes on
 */
export function endsSentence(text: string, from: number, i: number, to: number): number {
  let strong = false;
  let quoted = false;
  let j = i;
  for (; j < to; j++) {
    const c = text.charCodeAt(j);
    const kind = TERMINATORS[c]!;
    if (kind === 2) strong = true;
    else if (kind === 0) {
      // “ and ‘ close a German quotation, when white space follows; anywhere else they open one.
      const german =
        (c === 0x201c || c === 0x2018) && !strong && (j + 1 >= to || isSpace(text.charCodeAt(j + 1)));
      if (!german && !CLOSERS.has(c)) break;
      quoted = true;
    }
  }
  if (j >= to) return j;
  // French sets its closing quote apart by a no-break space.
  if (text[j + 1] === '»' && (text[j] === '\u00a0' || text[j] === '\u202f')) j += 2;
  // A footnote's mark: "so it was.[12] Then".
  if (text[j] === '[' && isDigit(text.charCodeAt(j + 1))) {
    let k = j + 1;
    while (k < to && k < j + 5 && isDigit(text.charCodeAt(k))) k++;
    if (text[k] === ']') j = k + 1;
  }
  const next = text.charCodeAt(j);
  // "３．５" and "No．１": the full-width stop inside a number.
  if (text[i] === '．' && (isDigit(next) || (next >= 0xff10 && next <= 0xff19))) return -j;
  if (strong) return quoted && QUOTE_PARTICLES.has(text[j]!) ? -j : j;
  if (!isSpace(next)) {
    // Chinese or Japanese after a Latin mark has no space; anything else is a decimal, a version, an address.
    const wide = next >= 0x3040 && next < 0xd7b0;
    return wide && text[i] !== '.' && !(quoted && QUOTE_PARTICLES.has(text[j]!)) ? j : -j;
  }
  let k = j;
  let lines = 0;
  for (; k < to && isSpace(text.charCodeAt(k)); k++) if (text.charCodeAt(k) === 10) lines++;
  if (k >= to || lines >= 2) return j;
  const start = String.fromCodePoint(text.codePointAt(k)!);
  if (CONTINUES.has(start)) return -j;
  // "He asked why? and left", 'Stop!" he said', "approx. twelve": a sentence doesn't begin in lower case.
  if (start !== start.toUpperCase()) return -j;
  if (text[i] === '.' && j === i + 1 && joinsAbbreviation(text, from, i, k, to)) return -j;
  return j;
}
