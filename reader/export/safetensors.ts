import { readFileSync } from 'node:fs';

/** A tensor in float32, row-major. */
export interface Tensor {
  shape: number[];
  data: Float32Array;
}

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/**
 * Reads the tensors of a safetensors file, BF16 and F32, into float32.
 *
 * @throws Error when a tensor has another type.
 */
export function readSafetensors(path: string): Map<string, Tensor> {
  const file = readFileSync(path);
  const start = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, start)) as Record<string, Entry>;
  const tensors = new Map<string, Tensor>();
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const bytes = new Uint8Array(file.subarray(start + data_offsets[0], start + data_offsets[1]));
    tensors.set(name, { shape, data: toFloat32(bytes, dtype, name) });
  }
  return tensors;
}

function toFloat32(bytes: Uint8Array, dtype: string, name: string): Float32Array {
  if (dtype === 'F32') return new Float32Array(bytes.buffer);
  if (dtype !== 'BF16') throw new Error(`${name} is ${dtype}; the exporter reads BF16 and F32`);
  // bfloat16 is the upper half of a float32.
  return new Float32Array(Uint32Array.from(new Uint16Array(bytes.buffer), (half) => half << 16).buffer);
}
