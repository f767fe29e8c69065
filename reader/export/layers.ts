import type { Model, Shape } from './model.ts';
import type { OnnxGraph } from './onnx.ts';
import { quantizeColumns, quantizeRows } from './quantize.ts';
import type { Tensor } from './safetensors.ts';

/** Large enough that exp() of it is zero beside any score, small enough to stay finite. */
export const MASKED = -1e9;

/** The longest input of the graphs, in tokens, padding included: the size of the rotary tables. */
const MAX_POSITIONS = 2048;

/** Node builders for one graph of one model. */
export class Layers {
  readonly graph: OnnxGraph;
  readonly model: Model;
  private readonly int8: boolean;

  constructor(graph: OnnxGraph, model: Model, int8: boolean) {
    this.graph = graph;
    this.model = model;
    this.int8 = int8;
  }

  get shape(): Shape {
    return this.model.shape;
  }

  /** Rows of the embedding, [1, T, its width]. In int8 each row has its own scale. */
  embed(ids: string): string {
    const { shape, data } = this.model.weight('model.embed_tokens.weight');
    const [rows, width] = shape as [number, number];
    const g = this.graph;
    if (!this.int8) return g.op('Gather', [g.tensor(data, shape), ids]);
    const quantized = quantizeRows(data, rows, width);
    const integers = g.op('Cast', [g.op('Gather', [g.tensor(quantized.values, shape), ids])], { to: 1 });
    return g.op('Mul', [integers, g.op('Gather', [g.tensor(quantized.scales, [rows, 1]), ids])]);
  }

  /** RMS norm without its weight, which the next linear layer takes in (see `linear`). */
  norm(x: string, width = this.shape.hidden_size): string {
    const ones = this.graph.shared(`ones${width}`, () =>
      this.graph.tensor(new Float32Array(width).fill(1), [width]),
    );
    const epsilon = { float: this.shape.rms_norm_eps };
    return this.graph.op('SimplifiedLayerNormalization', [x, ones], { axis: -1, epsilon, stash_type: 1 });
  }

  /**
   * x · Wᵀ for the matrices side by side. `norm` is the weight of the RMS norm before them: a scale of each input column, so it moves
   * into the matrices without changing the result.
   */
  linear(x: string, matrices: Tensor[], norm?: Tensor): string {
    const { weights, inputs, outputs } = sideBySide(matrices, norm);
    if (!this.int8) return this.product(x, weights, inputs, outputs);
    const g = this.graph;
    // Activations share one int8 scale, and those of the first position (the sink) are so large that beside them the others would round to
    // little: each row is brought to its own maximum first, and back after.
    const largest = g.op('ReduceMax', [g.op('Abs', [x]), g.ints(-1)], { keepdims: 1 });
    const scale = g.op('Max', [largest, g.float(1e-9)]);
    const { values, scales } = quantizeColumns(weights, inputs, outputs);
    const zeros = g.shared(`zeros${outputs}`, () => g.tensor(new Int8Array(outputs), [outputs]));
    const product = g.op('com.microsoft.DynamicQuantizeMatMul', [
      g.op('Div', [x, scale]),
      g.tensor(values, [inputs, outputs]),
      g.tensor(scales, [outputs]),
      zeros,
    ]);
    return g.op('Mul', [product, scale]);
  }

  /** The same in float32 whatever the graph: for small matrices on which much depends. */
  exactLinear(x: string, matrices: Tensor[], norm?: Tensor): string {
    const { weights, inputs, outputs } = sideBySide(matrices, norm);
    return this.product(x, weights, inputs, outputs);
  }

  private product(x: string, weights: Float32Array, inputs: number, outputs: number): string {
    return this.graph.op('MatMul', [x, this.graph.tensor(weights, [inputs, outputs])]);
  }

  /** [1, T, heads · size] → [1, heads, T, size]. */
  heads(x: string, count: number): string {
    const g = this.graph;
    const split = g.op('Reshape', [x, g.ints(0, 0, count, this.shape.head_dim)]);
    return g.op('Transpose', [split], { perm: [0, 2, 1, 3] });
  }

  /** Head norm with the given weights ([heads, 1, size], the scale of the scores included) and rotation by position. */
  rotate(x: string, weights: string, positions: string): string {
    const { head_dim, rope_theta } = this.shape;
    const g = this.graph;
    const table = (name: string, f: (angle: number) => number) =>
      g.shared(name, () => {
        const half = head_dim / 2;
        const values = new Float32Array(MAX_POSITIONS * half);
        for (let t = 0; t < MAX_POSITIONS; t++)
          for (let i = 0; i < half; i++) values[t * half + i] = f(t * rope_theta ** (-i / half));
        return g.tensor(values, [MAX_POSITIONS, half]);
      });
    const scaled = g.op('Mul', [this.norm(x, head_dim), weights]);
    return g.op(
      'com.microsoft.RotaryEmbedding',
      [scaled, positions, table('cos', Math.cos), table('sin', Math.sin)],
      {
        interleaved: 0,
      },
    );
  }

  /** Gated feed-forward layer with its residual. */
  feedForward(x: string, layer: number): string {
    const g = this.graph;
    const { intermediate_size } = this.shape;
    const at = `model.layers.${layer}`;
    const both = this.linear(
      this.norm(x),
      [this.model.weight(`${at}.mlp.gate_proj.weight`), this.model.weight(`${at}.mlp.up_proj.weight`)],
      this.model.weight(`${at}.post_attention_layernorm.weight`),
    );
    const [gate, up] = g.ops('Split', [both, g.ints(intermediate_size, intermediate_size)], 2, { axis: -1 });
    const silu = g.op('com.microsoft.QuickGelu', [gate!], { alpha: { float: 1 } });
    const down = this.linear(g.op('Mul', [silu, up!]), [this.model.weight(`${at}.mlp.down_proj.weight`)]);
    return g.op('Add', [x, down]);
  }
}

/** The matrices' columns one after the other, [inputs, outputs], each input scaled by the norm's weight. */
function sideBySide(matrices: Tensor[], norm?: Tensor) {
  const inputs = matrices[0]!.shape[1]!;
  const outputs = matrices.reduce((sum, { shape }) => sum + shape[0]!, 0);
  const weights = new Float32Array(inputs * outputs);
  let column = 0;
  for (const { shape, data } of matrices) {
    for (let out = 0; out < shape[0]!; out++, column++) {
      for (let i = 0; i < inputs; i++) {
        weights[i * outputs + column] = data[out * inputs + i]! * (norm?.data[i] ?? 1);
      }
    }
  }
  return { weights, inputs, outputs };
}
