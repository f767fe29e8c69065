import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as ort from 'onnxruntime-web';
import { loadGraph, type Runtime } from '../workers/attention/embedded/graph.ts';
import type { Manifest } from '../workers/attention/embedded/manifest.ts';
import { createReader } from '../workers/attention/embedded/reader.ts';
import { ReaderTokenizer } from '../workers/attention/embedded/tokenizer.ts';

ort.env.wasm.numThreads = 1;
ort.env.logLevel = 'error';

/** The build of onnxruntime-web that runs in Node. */
export const runtime: Runtime = ort;

/** The reader in Node, on exported files: by name, as the exporter gives them, or in a folder. */
export async function readerFrom(source: string | Map<string, Uint8Array>) {
  const read = (name: string) =>
    typeof source === 'string' ? readFileSync(join(source, name)) : Buffer.from(source.get(name)!);
  const manifest = JSON.parse(read('manifest.json').toString()) as Manifest;
  const tokenizer = new ReaderTokenizer(JSON.parse(read('tokenizer.json').toString()));
  const scan = await loadGraph(runtime, new Uint8Array(read('scan.onnx')), manifest.block_tokens);
  const answer = await loadGraph(runtime, new Uint8Array(read('answer.onnx')));
  const reader = createReader({
    manifest: async () => manifest,
    tokenizer: async () => tokenizer,
    scan: async () => scan,
    answer: async () => answer,
  });
  return { manifest, tokenizer, scan, answer, reader };
}
