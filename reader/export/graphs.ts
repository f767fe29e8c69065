import { headWeights, type Reach, selfAttention } from './attention.ts';
import { Layers, MASKED } from './layers.ts';
import { headRows, type ReaderConfig, type ReaderModel } from './model.ts';
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
export function scanGraph({ config, scan: model }: ReaderModel, options: GraphOptions): Uint8Array {
  const g = new OnnxGraph();
  const ids = g.input('input_ids', [1, 'T']);
  const rows = g.input('rows', ['R']);
  const l = new Layers(g, model, options.int8);
  const { retrieval_layer, retrieval_heads } = config.reader;
  const x = runLayers(l, l.embed(ids), config.reader, options);
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
            model.shape.head_dim,
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
 * The answer: scores of every position as the answer's first token, as its last, and as a part of the evidence.
 *
 * Input `input_ids` int64 [1, T], any T: every token sees every other, so there is no padding. Outputs `start_logits`, `end_logits` and
 * `evidence_logits` float32 [1, T]; position 0 stands for "not answered here".
 */
export function answerGraph({ answer: model }: ReaderModel, { int8 }: GraphOptions): Uint8Array {
  const g = new OnnxGraph();
  const l = new Layers(g, model, int8);
  const { hidden_size, num_hidden_layers } = model.shape;
  let x = l.linear(l.embed(g.input('input_ids', [1, 'T'])), [model.weight('model.embed_proj.weight')]);
  for (let layer = 0; layer < num_hidden_layers; layer++)
    x = l.feedForward(selfAttention(l, x, layer, { kind: 'both-ways' }), layer);
  const outputs = ['start_logits', 'end_logits', 'evidence_logits'];
  const head = model.weight('model.head.weight');
  if (head.shape[0] !== outputs.length || head.shape[1] !== hidden_size)
    throw new Error(`model.head.weight must be ${outputs.length} × ${hidden_size}`);
  // Three rows: float32 costs nothing here.
  const logits = l.exactLinear(l.norm(x), [head], model.weight('model.norm.weight'));
  const split = g.ops('Split', [logits, g.ints(1, 1, 1)], outputs.length, { axis: 2 });
  for (const [i, name] of outputs.entries())
    g.output(g.op('Squeeze', [split[i]!, g.ints(2)]), name, [1, 'T']);
  return g.encode();
}

function runLayers(
  l: Layers,
  embedded: string,
  { retrieval_layer, local_layers, local_window: window }: ReaderConfig['reader'],
  { fullAttention }: GraphOptions,
): string {
  let x = embedded;
  for (let layer = 0; layer < retrieval_layer; layer++) {
    const local = local_layers.includes(layer);
    const reach: Reach = !local
      ? { kind: 'causal' }
      : fullAttention
        ? { kind: 'causal', window }
        : { kind: 'blocks', window };
    x = l.feedForward(selfAttention(l, x, layer, reach), layer);
  }
  return x;
}
