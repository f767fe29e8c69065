import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadGraph } from '../workers/attention/embedded/graph.ts';
import type { Manifest } from '../workers/attention/embedded/manifest.ts';

/** Lengths run, so that what the runtime keeps of each is counted. */
const LENGTHS = 20;

/** Memory of the WebAssembly runtime with both graphs loaded and run at their longest inputs. It never shrinks: the last is the most. */
export async function readerHeap(argv: string[]): Promise<void> {
  const { values } = parseArgs({
    args: argv,
    options: { assets: { type: 'string', default: join(import.meta.dirname, '../reader/assets') } },
  });
  const memory = watchMemory();
  const { runtime } = await import('../reader/node.ts');
  const file = (name: string) => new Uint8Array(readFileSync(join(values.assets, name)));
  const manifest = JSON.parse(new TextDecoder().decode(file('manifest.json'))) as Manifest;
  const tell = (when: string) =>
    console.log(`${when.padEnd(36)} ${(memory().buffer.byteLength / 2 ** 20).toFixed(1).padStart(6)} MiB`);
  console.log(manifest.model);
  // In the order of a question in a fresh isolate.
  const scan = await loadGraph(runtime, file('scan.onnx'), manifest.block_tokens);
  tell('scan.onnx loaded');
  for (const tokens of lengthsUpTo(manifest.max_window_tokens))
    await scan(ids(tokens), rows(tokens, manifest));
  tell(`windows of up to ${manifest.max_window_tokens} tokens`);
  const answer = await loadGraph(runtime, file('answer.onnx'));
  tell('answer.onnx loaded');
  for (const tokens of lengthsUpTo(manifest.answer.max_window_tokens)) await answer(ids(tokens));
  tell(`evidence of up to ${manifest.answer.max_window_tokens} tokens`);
}

/** The memory that the runtime makes for itself, its first from now on. */
function watchMemory(): () => WebAssembly.Memory {
  const assembly = WebAssembly as { Memory: typeof WebAssembly.Memory };
  const made: WebAssembly.Memory[] = [];
  assembly.Memory = class extends assembly.Memory {
    constructor(descriptor: WebAssembly.MemoryDescriptor) {
      super(descriptor);
      made.push(this);
    }
  };
  return () => {
    const [memory] = made;
    if (!memory) throw new Error('the runtime has made no memory');
    return memory;
  };
}

/** Up to the most, each once, in no order. */
const lengthsUpTo = (most: number): number[] =>
  Array.from({ length: LENGTHS }, (_, i) => Math.floor((((i * 7) % LENGTHS) + 1) * (most / LENGTHS)));

const ids = (tokens: number): number[] =>
  Array.from({ length: tokens }, (_, i) => (i === 0 ? 0 : 6 + ((i * 7919) % 16000)));

/** Rows of the longest question. */
const rows = (tokens: number, { max_question_tokens }: Manifest): number[] =>
  Array.from({ length: Math.min(tokens, max_question_tokens + 2) }, (_, i) => tokens - 1 - i).reverse();
