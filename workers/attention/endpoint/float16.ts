import { CallFailure } from './failure.ts';

/**
 * All 65,536 half-precision numbers; 256 KB, made at first use. A table rather than `Float16Array`, which Node 22 lacks, and
 * quicker than arithmetic for a million tokens.
 */
let table: Float32Array | undefined;

/** IEEE 754 binary16: 1 sign bit, 5 of exponent (bias 15), 10 of fraction. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/**
 * base64 of little-endian float16 values.
 *
 * @throws CallFailure of kind "protocol" when it is no base64, has half a value too much, or holds a value that is not finite
 */
export function decodeHalves(base64: string): Float32Array {
  table ??= Float32Array.from({ length: 0x10000 }, (_, bits) => halfToNumber(bits));
  let bytes: string;
  try {
    bytes = atob(base64);
  } catch {
    throw new CallFailure('protocol', 'an importance array is not base64');
  }
  if (bytes.length % 2 !== 0) throw new CallFailure('protocol', 'an importance array has an odd length');
  const values = new Float32Array(bytes.length / 2);
  for (let i = 0; i < values.length; i++) {
    const bits = bytes.charCodeAt(2 * i) | (bytes.charCodeAt(2 * i + 1) << 8);
    if ((bits & 0x7c00) === 0x7c00) throw new CallFailure('protocol', 'an importance is not a finite number');
    values[i] = table[bits]!;
  }
  return values;
}
