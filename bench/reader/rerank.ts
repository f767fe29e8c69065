/**
 * Places of sentences, best first: those kept as the answer ranks them, the others behind them as the scan does.
 *
 * @param order places as the scan ranks them, best first
 * @param kept places of the sentences that were answered from, `relevance` one a sentence of them
 */
export function reranked(order: number[], kept: number[], relevance: number[]): number[] {
  const score = new Map(kept.map((place, i) => [place, relevance[i]!]));
  const best = order.filter((place) => score.has(place)).sort((a, b) => score.get(b)! - score.get(a)!);
  return [...best, ...order.filter((place) => !score.has(place))];
}

/** Those of the evidence that the answer was read from, `cache_tokens` of them: what the reader passes over has no relevance. */
export const answeredFrom = (evidence: number[], relevance: number[]): number[] =>
  evidence.filter((_, i) => relevance[i]! > 0);
