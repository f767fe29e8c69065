/** Symmetric int8: a value is the integer times its row's or column's scale. */
export interface Quantized {
  values: Int8Array;
  scales: Float32Array;
}

/** One scale a row of a matrix [rows, width]. */
export const quantizeRows = (matrix: Float32Array, rows: number, width: number): Quantized =>
  quantize(matrix, rows, (row, i) => row * width + i, width);

/** One scale a column of a matrix [inputs, outputs]. */
export const quantizeColumns = (matrix: Float32Array, inputs: number, outputs: number): Quantized =>
  quantize(matrix, outputs, (column, i) => i * outputs + column, inputs);

function quantize(
  matrix: Float32Array,
  groups: number,
  place: (group: number, i: number) => number,
  size: number,
): Quantized {
  const values = new Int8Array(matrix.length);
  const scales = new Float32Array(groups);
  for (let group = 0; group < groups; group++) {
    let largest = 0;
    for (let i = 0; i < size; i++) largest = Math.max(largest, Math.abs(matrix[place(group, i)]!));
    const scale = Math.fround(largest / 127) || 1;
    scales[group] = scale;
    for (let i = 0; i < size; i++) {
      const at = place(group, i);
      values[at] = rounded(Math.fround(matrix[at]! / scale));
    }
  }
  return { values, scales };
}

/** To the nearest integer, halves to the even one, as PyTorch does: of bfloat16 weights many are half of their row's largest. */
function rounded(x: number): number {
  const up = Math.round(x);
  return up - x === 0.5 && up % 2 !== 0 ? up - 1 : up;
}
