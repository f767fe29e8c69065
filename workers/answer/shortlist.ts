import { keepWithin } from '../../shared/selection.ts';
import type { Graph } from '../attention/embedded/graph.ts';
import type { Layout } from '../attention/embedded/layout.ts';

/** A sentence of the evidence with its tokens. */
interface Candidate {
  text: string;
  ids: number[];
  tokens: number;
}

export interface ShortlistSettings {
  /** What a sentence's standing counts beside its log odds. */
  shortlist_weight: number;
  /** Log odds from which on a sentence answers so surely that no more need be read. */
  shortlist_sure: number;
}

/** Tokens of evidence that are read before it is asked whether that is enough. */
const AT_ONCE = 900;

/**
 * The sentences to answer from, in their order: the best `budget` tokens of more evidence than the answer graph reads at once. It reads
 * what stands best first, part by part, and goes on while nothing read answers surely. What counts is the logarithm of the odds that a
 * sentence answers against "not answered here", which is the same question in every part, and its standing in the scan's ranking, weighed.
 *
 * @param layOut lays sentences out together, in as many parts as it takes
 * @param standing one a sentence, larger is better
 */
export async function shortlist(
  graph: Graph,
  candidates: Candidate[],
  layOut: (sentences: number[][]) => Layout[],
  standing: number[],
  settings: ShortlistSettings,
  budget: number,
): Promise<number[]> {
  const ranked = [];
  for (const tier of tiersOf(candidates, standing)) {
    const odds: number[] = [];
    for (const { ids, lengths, first } of layOut(tier.map((index) => candidates[index]!.ids))) {
      const { evidence_logits } = await graph(ids);
      if (!evidence_logits) throw new Error('the answer graph has no output "evidence_logits"');
      let at = first;
      for (const length of lengths) {
        odds.push(logSum(evidence_logits.subarray(at, at + length)) - evidence_logits[0]!);
        at += length;
      }
    }
    ranked.push(
      ...tier.map((index, i) => ({ index, score: odds[i]! + settings.shortlist_weight * standing[index]! })),
    );
    if (odds.some((each) => each >= settings.shortlist_sure)) break;
  }
  ranked.sort((a, b) => b.score - a.score || a.index - b.index);
  return keepWithin(ranked, candidates, budget);
}

/** Indices of the sentences that stand best, of the next best and so on, `AT_ONCE` tokens each time, in the order of the text. */
function tiersOf(candidates: Candidate[], standing: number[]): number[][] {
  const tiers: number[][] = [];
  let left = 0;
  for (const index of candidates.map((_, i) => i).sort((a, b) => standing[b]! - standing[a]! || a - b)) {
    const { tokens } = candidates[index]!;
    if (tiers.length === 0 || tokens > left) {
      tiers.push([]);
      left = AT_ONCE;
    }
    tiers.at(-1)!.push(index);
    left -= tokens;
  }
  return tiers.map((tier) => tier.sort((a, b) => a - b));
}

/** Logarithm of the sum of exponentials; -Infinity of none. */
function logSum(scores: Float32Array): number {
  const top = scores.reduce((max, score) => Math.max(max, score), Number.NEGATIVE_INFINITY);
  return top === Number.NEGATIVE_INFINITY
    ? top
    : top + Math.log(scores.reduce((sum, score) => sum + Math.exp(score - top), 0));
}
