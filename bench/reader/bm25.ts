import { wordsOf } from '../../shared/lexical.ts';

/** The usual constants. */
const K1 = 1.2;
const B = 0.75;

/** BM25 of whole words, one score a text: the measure to beat, apart from the product's own way of counting words. */
export function bm25(question: string, texts: string[]): number[] {
  const bags = texts.map(wordsOf);
  const mean = bags.reduce((sum, bag) => sum + bag.length, 0) / Math.max(1, bags.length);
  const scores = bags.map(() => 0);
  for (const term of new Set(wordsOf(question))) {
    const times = bags.map((bag) => bag.filter((word) => word === term).length);
    const holding = times.filter((n) => n > 0).length;
    const rarity = Math.log(1 + (bags.length - holding + 0.5) / (holding + 0.5));
    times.forEach((n, i) => {
      const norm = K1 * (1 - B + B * (bags[i]!.length / Math.max(1, mean)));
      scores[i]! += (rarity * n * (K1 + 1)) / (n + norm);
    });
  }
  return scores;
}
