import { describe, expect, it } from 'vitest';
import { quantizeColumns, quantizeRows } from '../../reader/export/quantize.ts';

describe('int8 weights', () => {
  it('have one scale a row, or one a column', () => {
    const matrix = Float32Array.of(1, -2, 0.5, 4);
    const rows = quantizeRows(matrix, 2, 2);
    expect([...rows.scales]).toEqual([2 / 127, 4 / 127].map(Math.fround));
    expect([...rows.values]).toEqual([64, -127, 16, 127]);
    const columns = quantizeColumns(matrix, 2, 2);
    expect([...columns.scales]).toEqual([1 / 127, 4 / 127].map(Math.fround));
    expect([...columns.values]).toEqual([127, -64, 64, 127]);
  });

  it('round halves to the even integer', () => {
    const halves = Float32Array.of(127, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5);
    expect([...quantizeRows(halves, 1, 7).values]).toEqual([127, 0, 2, 2, 0, -2, -2]);
  });

  it('are zero where all weights are', () => {
    expect([...quantizeRows(new Float32Array(3), 1, 3).values]).toEqual([0, 0, 0]);
  });
});
