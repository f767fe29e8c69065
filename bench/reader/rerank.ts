/** Relevance below this is as good as none. */
const FLOOR = 1e-4;

/**
 * Places of sentences, best first: those kept by what the answer model makes of them, the scan's word counting for a little, the others
 * behind them as the scan ranks them.
 *
 * @param order places as the scan ranks them, best first
 * @param kept places of the sentences that were answered from, `relevance` one a sentence of them
 */
export function reranked(order: number[], kept: number[], relevance: number[], weight: number): number[] {
  const score = new Map(
    kept.map((place, i) => [
      place,
      Math.log(relevance[i]! + FLOOR) - weight * Math.log(1 + order.indexOf(place)),
    ]),
  );
  const best = order.filter((place) => score.has(place)).sort((a, b) => score.get(b)! - score.get(a)!);
  return [...best, ...order.filter((place) => !score.has(place))];
}
