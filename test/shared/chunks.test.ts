import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type BinaryText,
  type InvalidUtf8,
  SentenceSegmenter,
  Utf8Decoder,
} from '../../shared/sentences/index.ts';
import { segment, segmentBytes } from './segment.ts';

const fragment = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      'The pump failed',
      'again',
      'Dr',
      'U.S',
      'e.g',
      '3.14',
      'No',
      'word',
      'Ä',
      '船长',
      '风',
    ),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      '. ',
      '.',
      '! ',
      '?" ',
      '… ',
      '。',
      '」',
      '！',
      '，',
      ', ',
      ' ',
      ': ',
      '-',
      ')',
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      '\n',
      '\r\n',
      '\n\n',
      '\r',
      '\t',
      '\n- ',
      '\n1. ',
      '\n# ',
      '\n| ',
      '\n```\n',
      '\u2028',
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '👩‍🚀',
      '🇳🇴',
      'e\u0301',
      '\ufeff',
      '2026-01-02 10:00:00 x',
      '};\n',
      'x'.repeat(90),
      ' '.repeat(400),
    ),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }).map((s) => s.replaceAll('\0', '')) },
);
/** Long enough that most sentences are decided before the end of the text is known. */
const anyText = fc.array(fragment, { maxLength: 260, size: 'max' }).map((parts) => parts.join(''));
const anyBound = fc.constantFrom(16, 40, 120, 800);
const fractions = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 30, size: 'max' });
const cutsOf = (length: number, parts: number[]) => parts.map((x) => Math.floor(x * length));

describe('any split of the same text', () => {
  it('bytes: the same sentences and offsets', () => {
    fc.assert(
      fc.property(anyText, fractions, anyBound, (text, parts, bound) => {
        const bytes = new TextEncoder().encode(text);
        const whole = segmentBytes(bytes, [], bound);
        expect(segmentBytes(bytes, cutsOf(bytes.length, parts), bound)).toEqual(whole);
        expect(whole.map((p) => p.text).join('')).toBe(text.replace(/^\ufeff/, ''));
      }),
      { numRuns: 1500 },
    );
  }, 60_000);

  it('one byte at a time', () => {
    fc.assert(
      fc.property(anyText, anyBound, (text, bound) => {
        const bytes = new TextEncoder().encode(text);
        expect(segmentBytes(bytes, Array.from(bytes.keys()), bound)).toEqual(segmentBytes(bytes, [], bound));
      }),
      { numRuns: 150 },
    );
  }, 60_000);

  it('UTF-16, lone surrogates included', () => {
    const units = fc.array(fc.oneof(fragment, fc.constantFrom('\ud83d', '\ude00', '\ud83d\ude00')), {
      maxLength: 260,
      size: 'max',
    });
    fc.assert(
      fc.property(units, fractions, anyBound, (fragments, parts, bound) => {
        const text = fragments.join('');
        const segmenter = new SentenceSegmenter({ maxBytes: bound });
        const borders = [0, ...cutsOf(text.length, parts).sort((a, b) => a - b), text.length];
        const pieces = borders.slice(1).flatMap((end, i) => segmenter.push(text.slice(borders[i], end)));
        expect([...pieces, ...segmenter.flush()]).toEqual(segment(text, bound));
      }),
      { numRuns: 1000 },
    );
  }, 60_000);
});

describe('the pieces', () => {
  it('tile the text, each within the bound, each where its offsets say', () => {
    fc.assert(
      fc.property(anyText, anyBound, (text, bound) => {
        const points = Array.from(text);
        let position = 0;
        for (const piece of segment(text, bound)) {
          expect(piece.start).toBe(position);
          expect(piece.end).toBeGreaterThan(piece.start);
          expect(points.slice(piece.start, piece.end).join('')).toBe(piece.text);
          expect(new TextEncoder().encode(piece.text).length).toBeLessThanOrEqual(bound);
          position = piece.end;
        }
        expect(position).toBe(points.length);
      }),
      { numRuns: 1000 },
    );
  }, 60_000);
});

describe('Utf8Decoder', () => {
  const decode = (chunks: number[][]) => {
    const decoder = new Utf8Decoder();
    const text = chunks.map((chunk) => decoder.decode(Uint8Array.from(chunk))).join('');
    return text + decoder.finish();
  };
  const error = (chunks: number[][]) => {
    try {
      return decode(chunks);
    } catch (cause) {
      return { kind: (cause as Error).name, byte: (cause as InvalidUtf8 | BinaryText).byte };
    }
  };

  it('leaves out a byte order mark at the start only', () => {
    expect(decode([[0xef], [0xbb], [0xbf, 0x61]])).toBe('a');
    expect(decode([[0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf, 0x61]])).toBe('\ufeffa');
    expect(decode([])).toBe('');
  });

  it('names the first byte of the malformed sequence', () => {
    const a = [0x61, 0x61, 0x61, 0x61, 0x61, 0x61];
    expect(error([[...a, 0xff, 0x61]])).toEqual({ kind: 'InvalidUtf8', byte: 6 });
    expect(error([a, [0xe4, 0xbd], []])).toEqual({ kind: 'InvalidUtf8', byte: 6 });
    expect(error([a, [0xe0, 0x80, 0x80]])).toEqual({ kind: 'InvalidUtf8', byte: 6 });
    expect(error([a, [0xed, 0xa0, 0x80]])).toEqual({ kind: 'InvalidUtf8', byte: 6 });
    expect(error([[0xc3, 0xa4, 0x80]])).toEqual({ kind: 'InvalidUtf8', byte: 2 });
  });

  it('refuses binary data', () => {
    expect(
      error([
        [0x61, 0x61],
        [0x61, 0x61, 0x61, 0x00, 0xff],
      ]),
    ).toEqual({ kind: 'BinaryText', byte: 5 });
    expect(error([[0x25], [0x50, 0x44, 0x46], [0x2d, 0x31]])).toEqual({ kind: 'BinaryText', byte: 0 });
    expect(error([[0xff, 0xfe, 0x61, 0x00]])).toEqual({ kind: 'BinaryText', byte: 0 });
  });

  it('reports the same error however the bytes are split', () => {
    const byte = fc.oneof(
      fc.integer({ min: 0x20, max: 0x7e }),
      fc.integer({ min: 0, max: 255 }),
      fc.constantFrom(0xe4, 0xbd, 0xa0, 0xf0, 0x9f, 0x98, 0x80),
    );
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 40, size: 'max' }), fractions, (bytes, parts) => {
        const borders = [0, ...cutsOf(bytes.length, parts).sort((a, b) => a - b), bytes.length];
        const chunks = borders.slice(1).map((end, i) => bytes.slice(borders[i], end));
        expect(error(chunks)).toEqual(error([bytes]));
      }),
      { numRuns: 2000 },
    );
  });
});
