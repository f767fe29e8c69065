import type { Sentence } from '../shared/sentence.ts';
import type { Block, TextRun } from './types.ts';

/**
 * Text of a block, UTF-8 bytes: one row, one RPC message. Larger strings go to V8's large-object space, which is collected late: with
 * 256 KB the peak of a 100 MB upload was a third higher. Smaller blocks cost CPU.
 */
export const BLOCK_BYTES = 32 * 1024;

/** Code points and UTF-8 bytes of well-formed text. */
export function measure(text: string): { code_points: number; bytes: number } {
  let bytes = text.length;
  let pairs = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) bytes += 1;
    else if (unit >= 0xd800 && unit < 0xdc00) {
      // A surrogate pair: two units, four bytes, one code point.
      bytes += 2;
      pairs += 1;
      i += 1;
    } else bytes += 2;
  }
  return { code_points: text.length - pairs, bytes };
}

/** The UTF-16 index of code point `count` of `text`, or its length when the text is shorter. */
export function unitIndex(text: string, count: number): number {
  let unit = 0;
  for (let seen = 0; seen < count && unit < text.length; seen++) {
    unit += text.codePointAt(unit)! > 0xffff ? 2 : 1;
  }
  return unit;
}

/** A run cut into its sentences. */
export function cutSentences(run: TextRun): Sentence[] {
  let unit = 0;
  let start = run.start;
  return run.lengths.map((length) => {
    const text = run.text.slice(unit, unit + length);
    const end = start + measure(text).code_points;
    const sentence = { document: run.document, start, end, text };
    unit += length;
    start = end;
    return sentence;
  });
}

/** What remains of a block after its first `skip` sentences. */
export function restOfBlock(
  document: string,
  block: Omit<Block, 'bytes' | 'code_points'>,
  skip: number,
): TextRun {
  let units = 0;
  for (const length of block.lengths.slice(0, skip)) units += length;
  const start = block.start + measure(block.text.slice(0, units)).code_points;
  return { document, start, text: block.text.slice(units), lengths: block.lengths.slice(skip) };
}

/** Gathers sentences into blocks. */
export class BlockBuilder {
  private parts: string[] = [];
  private lengths: number[] = [];
  private bytes = 0;
  private codePoints = 0;
  private start = 0;

  /** @returns the block that had to close before this sentence, if any */
  add(sentence: { text: string }): Block | null {
    const size = measure(sentence.text);
    const full = this.bytes > 0 && this.bytes + size.bytes > BLOCK_BYTES ? this.close() : null;
    this.parts.push(sentence.text);
    this.lengths.push(sentence.text.length);
    this.bytes += size.bytes;
    this.codePoints += size.code_points;
    return full;
  }

  /** The last block, or null when nothing is left. */
  close(): Block | null {
    if (this.parts.length === 0) return null;
    const block: Block = {
      start: this.start,
      text: this.parts.join(''),
      lengths: this.lengths,
      code_points: this.codePoints,
      bytes: this.bytes,
    };
    this.start += this.codePoints;
    this.parts = [];
    this.lengths = [];
    this.bytes = 0;
    this.codePoints = 0;
    return block;
  }
}
