// Tokens taken for one character. An English letter is between a fourth and a fifth of a token in running text; 0.3 leaves room for names
// and rare words. A digit is a token of its own in several vocabularies, and a mark at most one.
const LETTER = 0.3;
const SINGLE = 1;
// Beyond ASCII, tokens of the large vocabularies hold two bytes or more on average in every script in common use.
const PER_BYTE = 0.5;

/**
 * How many tokens a sentence is taken for at the edge, which has no tokenizer of the endpoint's model. On the English files of examples/
 * it gives within 5% what a vocabulary of 16,384 tokens gives, which is more than the larger ones of LLMs need. Too many rather than too
 * few: a window that comes out short costs a little time, one that comes out long is trimmed by the endpoint, and text goes unread. A
 * function of the text alone, so that a resumed run packs the same windows.
 */
export function estimateTokens(sentence: string): number {
  let tokens = 0;
  for (let i = 0; i < sentence.length; i++) {
    const unit = sentence.charCodeAt(i);
    if (unit === 0x20) continue; // joined to the word behind it
    if (unit < 0x80) tokens += isLetter(unit) ? LETTER : SINGLE;
    else if (unit < 0x800) tokens += 2 * PER_BYTE;
    else if (unit >= 0xd800 && unit < 0xe000)
      tokens += 2 * PER_BYTE; // half of a four-byte character
    else tokens += 3 * PER_BYTE;
  }
  // Spaces in a row (indented code, tables) are few tokens, but not none.
  tokens += Math.floor((sentence.match(/ {2,}/g) ?? []).reduce((sum, run) => sum + run.length, 0) / 4);
  return Math.max(1, Math.ceil(tokens));
}

const isLetter = (unit: number): boolean => (unit | 0x20) >= 0x61 && (unit | 0x20) <= 0x7a;
