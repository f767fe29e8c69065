/** Endings of plurals. */
const PLURALS: [RegExp, string][] = [
  [/ies$/, 'y'],
  [/(ss|sh|ch|x|z)es$/, '$1'],
  [/([^sui])s$/, '$1'],
];
/** What stands before "-ing" or "-ed": it has a vowel, or it is no verb. */
const BEFORE_SUFFIX = /^(.*[aeiouy].*)(?:ing|(?<!e)ed)$/;
const DOUBLED = /(?<=..)([^aeioulsz])\1$/;

/**
 * An English word without the endings of plural, past, participle and adverb, so that "moved" and "moving" count as one word. Lighter than
 * Porter's stemmer (1980): what changes the meaning stays. Words of other scripts, and numbers, are left as they are.
 *
 * @param word in lower case
 */
export function stem(word: string): string {
  if (word.length < 4 || !/^[\x20-\x7e]*[sdgye]$/.test(word)) return word;
  let left = word;
  const plural = PLURALS.find(([ending]) => ending.test(word));
  if (plural) left = word.replace(...plural);
  const before = BEFORE_SUFFIX.exec(left)?.[1];
  if (left.endsWith('ied') && left.length > 4) left = `${left.slice(0, -3)}y`;
  else if (before && before.length > 2) left = before.replace(DOUBLED, '$1');
  if (left.endsWith('ly') && left.length > 5) left = left.slice(0, -2);
  if (left.endsWith('e') && left.length > 3) left = left.slice(0, -1);
  return left.endsWith('y') && left.length > 3 ? `${left.slice(0, -1)}i` : left;
}
