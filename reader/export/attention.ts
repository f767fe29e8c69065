import { type Layers, MASKED } from './layers.ts';

/**
 * How a layer attends: to the `window` positions up to each, in blocks that see no more than that; to all positions up to each (or the
 * `window` last of them) over all T × T pairs; or both ways.
 */
export type Reach =
  | { kind: 'blocks'; window: number }
  | { kind: 'causal'; window?: number }
  | { kind: 'both-ways' };

/**
 * Rows of a block. A block of B rows sees B + window keys, so smaller blocks compute fewer masked scores and larger ones make larger,
 * faster products.
 */
export const BLOCK = 64;

/** Self-attention of one layer with its residual: [1, T, hidden] → [1, T, hidden]. In blocks T is a multiple of BLOCK. */
export function selfAttention(l: Layers, x: string, layer: number, reach: Reach): string {
  const g = l.graph;
  const { num_attention_heads: heads, head_dim: size } = l.shape;
  const at = `model.layers.${layer}`;
  const projections = ['q', 'k', 'v'].map((p) => l.model.weight(`${at}.self_attn.${p}_proj.weight`));
  const all = l.heads(
    l.linear(l.norm(x), projections, l.model.weight(`${at}.input_layernorm.weight`)),
    3 * heads,
  );
  const [queriesKeys, values] = g.ops('Split', [all, g.ints(2 * heads, heads)], 2, { axis: 1 });
  const rotated = l.rotate(queriesKeys!, headWeights(l, layer, heads, 'qk'), g.ints(0));
  const [queries, keys] = g.ops('Split', [rotated, g.ints(heads, heads)], 2, { axis: 1 });
  const attended =
    reach.kind === 'blocks'
      ? attendBlocks(l, reach.window, queries!, keys!, values!)
      : attendAll(l, reach, queries!, keys!, values!);
  const mixed = g.op('Transpose', [attended], { perm: [0, 2, 1, 3] });
  const joined = g.op('Reshape', [mixed, g.ints(0, 0, heads * size)]);
  return g.op('Add', [x, l.linear(joined, [l.model.weight(`${at}.self_attn.o_proj.weight`)])]);
}

/** Weights of the query norm (times 1/√size, the scale of the scores) and of the key norm: [heads, 1, size]. */
export function headWeights(l: Layers, layer: number, heads: number, which: 'q' | 'k' | 'qk'): string {
  const size = l.shape.head_dim;
  const values: number[] = [];
  for (const part of which) {
    const { data } = l.model.weight(`model.layers.${layer}.self_attn.${part}_norm.weight`);
    const scale = part === 'q' ? 1 / Math.sqrt(size) : 1;
    for (let head = 0; head < heads; head++) for (const w of data) values.push(w * scale);
  }
  return l.graph.tensor(Float32Array.from(values), [which.length * heads, 1, size]);
}

function attendBlocks(l: Layers, window: number, queries: string, keys: string, values: string): string {
  const g = l.graph;
  const { num_attention_heads: heads, head_dim: size } = l.shape;
  if (window % BLOCK !== 0) throw new Error(`the local window must be a multiple of ${BLOCK}`);
  const blocks = (z: string) => g.op('Reshape', [z, g.ints(heads, -1, BLOCK, size)]);
  const before = g.shared('no-keys', () =>
    g.tensor(new Float32Array(heads * window * size), [1, heads, window, size]),
  );
  // [heads, blocks, window + BLOCK, size]: each block beside the blocks that its window reaches.
  const reach = window / BLOCK;
  const withWindow = (z: string) => {
    const padded = blocks(g.op('Concat', [before, z], { axis: 2 }));
    const shifted = Array.from({ length: reach + 1 }, (_, i) =>
      g.op('Slice', [padded, g.ints(i), g.ints(i < reach ? i - reach : 2 ** 40), g.ints(1)]),
    );
    return g.op('Concat', shifted, { axis: 2 });
  };
  const turned = g.op('Transpose', [withWindow(keys)], { perm: [0, 1, 3, 2] });
  const scores = g.op('MatMul', [blocks(queries), turned]);
  const weights = g.op('Softmax', [g.op('Add', [scores, blockMask(l, window, queries)])], { axis: -1 });
  const mixed = g.op('MatMul', [weights, withWindow(values)]);
  return g.op('Reshape', [mixed, g.ints(1, heads, -1, size)]);
}

/** [blocks, BLOCK, window + BLOCK]: row i sees the keys i+1 … i+window, none of them before the first token. */
function blockMask(l: Layers, window: number, queries: string): string {
  const g = l.graph;
  const width = window + BLOCK;
  return g.shared('block-mask', () => {
    const band = new Float32Array(BLOCK * width);
    for (let row = 0; row < BLOCK; row++)
      for (let key = 0; key < width; key++)
        band[row * width + key] = key > row && key <= row + window ? 0 : MASKED;
    const starts = g.op('Range', [g.int(0), length(l, queries), g.int(BLOCK)]);
    const columns = g.tensor(
      BigInt64Array.from({ length: width }, (_, i) => BigInt(i)),
      [1, 1, width],
    );
    const position = g.op('Add', [g.op('Reshape', [starts, g.ints(-1, 1, 1)]), columns]);
    const exists = g.op('GreaterOrEqual', [position, g.int(window)]);
    return g.op('Where', [exists, g.tensor(band, [1, BLOCK, width]), g.float(MASKED)]);
  });
}

function attendAll(
  l: Layers,
  reach: Exclude<Reach, { kind: 'blocks' }>,
  queries: string,
  keys: string,
  values: string,
): string {
  const g = l.graph;
  const scores = g.op('MatMul', [queries, g.op('Transpose', [keys], { perm: [0, 1, 3, 2] })]);
  const seen = reach.kind === 'causal' ? g.op('Add', [scores, causalMask(l, reach.window, queries)]) : scores;
  return g.op('MatMul', [g.op('Softmax', [seen], { axis: -1 }), values]);
}

/** [T, T]: row i sees the keys up to i, or the `window` last of them. */
function causalMask(l: Layers, window: number | undefined, queries: string): string {
  const g = l.graph;
  return g.shared(`causal-mask-${window}`, () => {
    const positions = g.op('Range', [g.int(0), length(l, queries), g.int(1)]);
    const rows = g.op('Unsqueeze', [positions, g.ints(1)]);
    const distance = g.op('Sub', [rows, g.op('Unsqueeze', [positions, g.ints(0)])]);
    const past = g.op('GreaterOrEqual', [distance, g.int(0)]);
    const seen = window ? g.op('And', [past, g.op('Less', [distance, g.int(window)])]) : past;
    return g.op('Where', [seen, g.float(0), g.float(MASKED)]);
  });
}

/** T of [1, heads, T, size], as a scalar. */
function length(l: Layers, x: string): string {
  const g = l.graph;
  return g.shared('length', () =>
    g.op('Squeeze', [g.op('Slice', [g.op('Shape', [x]), g.ints(2), g.ints(3)]), g.ints(0)]),
  );
}
