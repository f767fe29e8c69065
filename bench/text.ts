import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Characters in a token of the embedded reader's English, roughly: what turns a wanted token count into a text length. */
export const CHARACTERS_PER_TOKEN = 4.2;

const essays = '../shared/data/haystack';

/** Paragraphs to hide a needle in: the usual essays where they are at hand, else the project's own examples. */
export function haystack(): { name: string; paragraphs: string[] } {
  const folder = existsSync(essays) ? essays : 'examples';
  const files = readdirSync(folder).filter((f) => /\.(txt|md)$/.test(f) && !f.includes('.zh.'));
  const text = files
    .sort()
    .map((f) => readFileSync(join(folder, f), 'utf8'))
    .join('\n\n');
  const name = folder === essays ? 'essays' : 'examples, repeated';
  return { name, paragraphs: text.split(/\n\s*\n/).filter((p) => p.trim() !== '') };
}

/** About `tokens` tokens of paragraphs, repeated as needed, with `needle` as a paragraph of its own at `depth` (0 … 1). */
export function* buried(
  paragraphs: string[],
  tokens: number,
  needle: string,
  depth: number,
): Generator<string> {
  const length = tokens * CHARACTERS_PER_TOKEN;
  let written = 0;
  let placed = false;
  for (let i = 0; ; i++) {
    if (!placed && written >= depth * length) {
      placed = true;
      yield `${needle}\n\n`;
    }
    if (written >= length) return;
    const paragraph = `${paragraphs[i % paragraphs.length]}\n\n`;
    written += paragraph.length;
    yield paragraph;
  }
}

/** Strings as a byte stream, one at a time as the reader asks for them. */
export function byteStream(strings: Iterable<string>): ReadableStream<Uint8Array> {
  const iterator = strings[Symbol.iterator]();
  const encoder = new TextEncoder();
  return new ReadableStream({
    pull(controller) {
      let chunk = '';
      while (chunk.length < 65536) {
        const { done, value } = iterator.next();
        if (done) {
          if (chunk) controller.enqueue(encoder.encode(chunk));
          controller.close();
          return;
        }
        chunk += value;
      }
      controller.enqueue(encoder.encode(chunk));
    },
  });
}
