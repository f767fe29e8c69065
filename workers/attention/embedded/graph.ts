import type { InferenceSession, Tensor } from 'onnxruntime-web';

/** A loaded graph: token ids in, and question rows where it reads them; the outputs by name, each one value a token (padding left out). */
export type Graph = (ids: number[], rows?: number[]) => Promise<Record<string, Float32Array>>;

/** The parts of an onnxruntime build that a graph needs: the builds for workerd and for Node are different modules. */
export interface Runtime {
  InferenceSession: {
    create(bytes: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  Tensor: new (type: 'int64', data: BigInt64Array, dims: number[]) => Tensor;
}

/**
 * Loads an exported graph.
 *
 * @param block the graph takes a multiple of this many tokens
 */
export async function loadGraph(runtime: Runtime, bytes: Uint8Array, block = 1): Promise<Graph> {
  const session = await runtime.InferenceSession.create(bytes, { graphOptimizationLevel: 'all' });
  return async (ids, rows) => {
    // A graph of blocks is causal: padding stands behind the last token, which sees nothing after itself. 0 is an id that every vocabulary has.
    const padded = new BigInt64Array(Math.ceil(ids.length / block) * block);
    for (let i = 0; i < ids.length; i++) padded[i] = BigInt(ids[i]!);
    const inputs = {
      input_ids: new runtime.Tensor('int64', padded, [1, padded.length]),
      ...(rows && { rows: new runtime.Tensor('int64', BigInt64Array.from(rows, BigInt), [rows.length]) }),
    };
    const outputs = await session.run(inputs);
    const result: Record<string, Float32Array> = {};
    for (const [name, tensor] of Object.entries(outputs)) {
      result[name] = (tensor.data as Float32Array).slice(0, ids.length);
      tensor.dispose();
    }
    return result;
  };
}
