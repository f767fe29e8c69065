/** Words as SQuAD's own evaluation compares them: lower case, no punctuation, no articles. */
const wordsOf = (text: string): string[] =>
  text
    .toLowerCase()
    .replace(/[^\p{L}\p{N} ]/gu, ' ')
    .replace(/\b(a|an|the)\b/g, ' ')
    .split(/\s+/)
    .filter((word) => word !== '');

/** Overlap of words with the best of the right answers, 0 … 1. */
export const f1 = (given: string, right: string[]): number =>
  Math.max(0, ...right.map((one) => overlap(wordsOf(given), wordsOf(one))));

export const exactly = (given: string, right: string[]): boolean =>
  right.some((one) => wordsOf(one).join(' ') === wordsOf(given).join(' '));

/** Words around the right answer that still count as giving it. */
const SPARE = 12;

/** Whether it gives one of the answers word for word, and not much more. */
export const says = (given: string, right: string[]): boolean => {
  const words = wordsOf(given);
  return right.map(wordsOf).some((one) => {
    if (words.length > one.length + SPARE) return false;
    return words.some((_, at) => one.every((word, i) => words[at + i] === word));
  });
};

function overlap(a: string[], b: string[]): number {
  const left = [...b];
  let shared = 0;
  for (const word of a) {
    const at = left.indexOf(word);
    if (at < 0) continue;
    left.splice(at, 1);
    shared++;
  }
  return shared === 0 ? 0 : (2 * shared) / (a.length + b.length);
}

/** How often a positive is above a negative, ties counted half: the area under the ROC curve. */
export function auroc(positive: number[], negative: number[]): number {
  let above = 0;
  for (const p of positive) for (const n of negative) above += p > n ? 1 : p === n ? 0.5 : 0;
  return above / (positive.length * negative.length);
}

export const mean = (values: (number | boolean)[]): number =>
  values.reduce<number>((sum, value) => sum + Number(value), 0) / Math.max(1, values.length);

export const percent = (share: number): string => share.toFixed(3);
