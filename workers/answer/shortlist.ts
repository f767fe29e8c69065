import { keepWithin } from '../../shared/selection.ts';
import type { Graph } from '../attention/embedded/graph.ts';
import type { Layout } from '../attention/embedded/layout.ts';

/** A sentence of the evidence with its length in tokens. */
interface Candidate {
  text: string;
  tokens: number;
}

/**
 * The sentences to answer from, in their order: the best `budget` tokens of more evidence than the answer graph reads at once. It reads
 * them part by part; what counts is the logarithm of the odds that a sentence answers against "not answered here", which is the same
 * question in every part, and the sentence's standing in the scan's ranking, weighed.
 *
 * @param parts consecutive sentences laid out together, all of them in all
 * @param standing one a sentence, larger is better
 */
export async function shortlist(
  graph: Graph,
  candidates: Candidate[],
  parts: Layout[],
  standing: number[],
  weight: number,
  budget: number,
): Promise<number[]> {
  const odds: number[] = [];
  for (const { ids, lengths, first } of parts) {
    const { evidence_logits } = await graph(ids);
    if (!evidence_logits) throw new Error('the answer graph has no output "evidence_logits"');
    let at = first;
    for (const length of lengths) {
      odds.push(logSum(evidence_logits.subarray(at, at + length)) - evidence_logits[0]!);
      at += length;
    }
  }
  const ranked = candidates
    .map((_, index) => ({ index, score: odds[index]! + weight * standing[index]! }))
    .sort((a, b) => b.score - a.score || a.index - b.index);
  return keepWithin(ranked, candidates, budget);
}

/** Logarithm of the sum of exponentials; -Infinity of none. */
function logSum(scores: Float32Array): number {
  const top = scores.reduce((max, score) => Math.max(max, score), Number.NEGATIVE_INFINITY);
  return top === Number.NEGATIVE_INFINITY
    ? top
    : top + Math.log(scores.reduce((sum, score) => sum + Math.exp(score - top), 0));
}
