import { describe, expect, test } from 'vitest';
import { estimateTokens } from '../../workers/attention/endpoint/estimate.ts';
import { decodeHalves, halfToNumber } from '../../workers/attention/endpoint/float16.ts';

const encode = (...bits: number[]) => Buffer.from(Uint16Array.from(bits).buffer).toString('base64');

describe('float16', () => {
  test('has its landmarks', () => {
    const landmarks: [number, number][] = [
      [0x0000, 0],
      [0x0001, 2 ** -24], // smallest subnormal
      [0x03ff, 1023 * 2 ** -24], // largest subnormal
      [0x0400, 2 ** -14], // smallest normal
      [0x3555, 0.333251953125],
      [0x3c00, 1],
      [0x7bff, 65504],
      [0xc000, -2],
    ];
    for (const [bits, value] of landmarks) expect(decodeHalves(encode(bits))).toEqual(Float32Array.of(value));
    expect(halfToNumber(0x7c00)).toBe(Number.POSITIVE_INFINITY);
    expect(halfToNumber(0x7e00)).toBeNaN();
  });

  test('rises with its bits', () => {
    const finite = Array.from({ length: 0x7c00 }, (_, bits) => halfToNumber(bits));
    expect(finite.every((x, bits) => bits === 0 || x > finite[bits - 1]!)).toBe(true);
  });

  test.each([
    ['infinity', encode(0x7c00)],
    ['NaN', encode(0x3c00, 0xfe01)],
    ['half a value', 'AAAA'],
    ['no base64', '*'],
  ])('refuses %s', (_, base64) => expect(() => decodeHalves(base64)).toThrow());
});

test('tokens are estimated on the safe side', () => {
  const prose = 'The harbour master repaired the bilge pump on Tuesday morning, before the tide came in.';
  const perToken = prose.length / estimateTokens(prose);
  expect(perToken).toBeGreaterThan(2.5);
  expect(perToken).toBeLessThan(4);
  // Vocabularies with a token a digit, and at least a token an ideograph.
  expect(estimateTokens('20241105')).toBe(8);
  expect(estimateTokens('港の主任')).toBeGreaterThanOrEqual(4);
  expect(estimateTokens('')).toBe(1);
});
