import { headWeights, type Reach, selfAttention } from './attention.ts';
import { Layers, MASKED } from './layers.ts';
import { headRows, type ReaderModel } from './model.ts';
import { OnnxGraph } from './onnx.ts';

export interface GraphOptions {
  /** int8 weights and dynamically quantized activations; float32 otherwise. */
  int8: boolean;
  /** Compute the local layers over all T × T pairs: the same result at a quadratic price, for comparison. */
  fullAttention?: boolean;
}

/**
 * The scan: importance of every token for the question.
 *
 * Inputs `input_ids` int64 [1, T], T a multiple of the block (pad behind the last token: rows see nothing after themselves), and `rows`
 * int64 [R], the positions from the question mark to the answer mark. Output `importance` float32 [1, T]: attention of the retrieval
 * layer, mean over its heads and the rows. Position 0 is the sink.
 */
export function scanGraph(model: ReaderModel, options: GraphOptions): Uint8Array {
  const { graph: g, layers: l, ids, rows } = begin(model, options);
  const { retrieval_layer, retrieval_heads } = model.config.reader;
  const x = runLayers(l, l.embed(ids), retrieval_layer, options);
  const at = `model.layers.${retrieval_layer}`;
  const normed = l.norm(x);
  const project = (part: string, input: string) =>
    l.heads(
      // float32: the importance is read off these two, and they are a twentieth of the work.
      l.exactLinear(
        input,
        [
          headRows(
            model.weight(`${at}.self_attn.${part}_proj.weight`),
            retrieval_heads,
            model.config.head_dim,
          ),
        ],
        model.weight(`${at}.input_layernorm.weight`),
      ),
      retrieval_heads.length,
    );
  const weights = (part: 'q' | 'k') => headWeights(l, retrieval_layer, retrieval_heads.length, part);
  const keys = l.rotate(project('k', normed), weights('k'), g.ints(0));
  const asked = project('q', g.op('Gather', [normed, rows], { axis: 1 }));
  const queries = l.rotate(asked, weights('q'), g.op('Unsqueeze', [rows, g.ints(0)]));
  const scores = g.op('MatMul', [queries, g.op('Transpose', [keys], { perm: [0, 1, 3, 2] })]);
  const end = g.op('Squeeze', [g.op('Slice', [g.op('Shape', [ids]), g.ints(1), g.ints(2)]), g.ints(0)]);
  const positions = g.op('Unsqueeze', [g.op('Range', [g.int(0), end, g.int(1)]), g.ints(0)]);
  const later = g.op('Greater', [positions, g.op('Unsqueeze', [rows, g.ints(1)])]);
  const masked = g.op('Where', [later, g.float(MASKED), scores]);
  const attention = g.op('Softmax', [masked], { axis: -1 });
  g.output(g.op('ReduceMean', [attention, g.ints(1, 2)], { keepdims: 0 }), 'importance', [1, 'T']);
  return g.encode();
}

/**
 * The answer: scores of every position as the first and as the last token of the answer.
 *
 * Inputs as for `scanGraph`. Outputs `start_logits` and `end_logits` float32 [1, T]; position 0 stands for "not answered here". The last
 * of `rows` is the answer mark, whose hidden state asks.
 */
export function answerGraph(model: ReaderModel, options: GraphOptions): Uint8Array {
  const { graph: g, layers: l, ids, rows } = begin(model, options);
  const { hidden_size, num_hidden_layers } = model.config;
  const x = runLayers(l, l.embed(ids), num_hidden_layers, options);
  const hidden = g.op('Mul', [l.norm(x), g.tensor(model.weight('model.norm.weight').data, [hidden_size])]);
  const mark = g.op('Gather', [hidden, g.op('Slice', [rows, g.ints(-1), g.ints(2 ** 40)])], { axis: 1 });
  // One row only: float32 costs nothing here. The key matrix is applied to it rather than to every position, which is the same product.
  const query = model.weight('span.query.weight');
  const scaled = query.data.map((w) => w / Math.sqrt(hidden_size));
  const turned = new Float32Array(scaled.length);
  for (let row = 0; row < 2 * hidden_size; row++)
    for (let i = 0; i < hidden_size; i++) turned[i * 2 * hidden_size + row] = scaled[row * hidden_size + i]!;
  const asked = g.op('MatMul', [mark, g.tensor(turned, [hidden_size, 2 * hidden_size])]);
  const pointers = g.op('Reshape', [asked, g.ints(1, 2, hidden_size)]);
  const keyed = g.op('MatMul', [
    pointers,
    g.tensor(model.weight('span.key.weight').data, [hidden_size, hidden_size]),
  ]);
  const logits = g.op('MatMul', [keyed, g.op('Transpose', [hidden], { perm: [0, 2, 1] })]);
  const [start, end] = g.ops('Split', [logits, g.ints(1, 1)], 2, { axis: 1 });
  g.output(g.op('Squeeze', [start!, g.ints(1)]), 'start_logits', [1, 'T']);
  g.output(g.op('Squeeze', [end!, g.ints(1)]), 'end_logits', [1, 'T']);
  return g.encode();
}

function begin(model: ReaderModel, { int8 }: GraphOptions) {
  const graph = new OnnxGraph();
  const ids = graph.input('input_ids', [1, 'T']);
  const rows = graph.input('rows', ['R']);
  return { graph, layers: new Layers(graph, model, int8), ids, rows };
}

function runLayers(l: Layers, embedded: string, count: number, { fullAttention }: GraphOptions): string {
  const { local_layers, local_window } = l.config.reader;
  let x = embedded;
  for (let layer = 0; layer < count; layer++) {
    const local = local_layers.includes(layer);
    const reach: Reach = !local
      ? { kind: 'full' }
      : fullAttention
        ? { kind: 'full', window: local_window }
        : { kind: 'blocks' };
    x = l.feedForward(selfAttention(l, x, layer, reach), layer);
  }
  return x;
}
