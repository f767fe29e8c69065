/**
 * Phrase convolution along the tokens of a window (InfiniRetri, arXiv 2502.12962, section 3.3): a kernel of `width` ones, stride 1,
 * zero-padded to the same length, not normalised. For width 8, position i sums i-4 … i+3.
 *
 * @param importance one value a token, the window's sentences one after the other
 * @param width tokens in a phrase, at least 1
 * @returns a new array of the same length
 */
export function convolvePhrases(importance: Float32Array, width: number): Float32Array {
  if (!Number.isInteger(width) || width < 1)
    throw new RangeError(`phrase width ${width} is not a positive integer`);
  const before = Math.floor(width / 2);
  const after = width - 1 - before;
  const n = importance.length;
  // Prefix sums in double precision: one pass whatever the width, and no drift from a running difference in float32.
  const prefix = new Float64Array(n + 1);
  for (let i = 0; i < n; i++) prefix[i + 1] = prefix[i]! + importance[i]!;
  const out = new Float32Array(n);
  for (let i = 0; i < n; i++) out[i] = prefix[Math.min(n, i + after + 1)]! - prefix[Math.max(0, i - before)]!;
  return out;
}

/** Indices of the `count` largest values, ties to the earlier one; in no particular order. */
export function topIndices(values: Float32Array, count: number): number[] {
  const order = Array.from(values.keys());
  if (count >= order.length) return order;
  order.sort((a, b) => values[b]! - values[a]! || a - b);
  return order.slice(0, count);
}
