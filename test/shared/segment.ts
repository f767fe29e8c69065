import { type Piece, SentenceSegmenter, Utf8Decoder } from '../../shared/sentences/index.ts';

export const segment = (text: string, maxBytes = 800): Piece[] => {
  const segmenter = new SentenceSegmenter({ maxBytes });
  return [...segmenter.push(text), ...segmenter.flush()];
};

/** The sentences' texts, trailing white space off. */
export const sentences = (text: string, maxBytes = 800): string[] =>
  segment(text, maxBytes).map((piece) => piece.text.trimEnd());

/** Decodes and segments bytes that arrive split at `cuts`. */
export function segmentBytes(bytes: Uint8Array, cuts: number[], maxBytes: number): Piece[] {
  const decoder = new Utf8Decoder();
  const segmenter = new SentenceSegmenter({ maxBytes });
  const pieces: Piece[] = [];
  const borders = [0, ...[...cuts].sort((a, b) => a - b), bytes.length];
  for (let i = 1; i < borders.length; i++) {
    pieces.push(...segmenter.push(decoder.decode(bytes.subarray(borders[i - 1], borders[i]))));
  }
  pieces.push(...segmenter.push(decoder.finish()), ...segmenter.flush());
  return pieces;
}
