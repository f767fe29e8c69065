import type { Answerer, AttentionBackend } from '../../../shared/attention.ts';
import { loadGraph } from './graph.ts';
import type { Manifest } from './manifest.ts';
import { runtime } from './ort.ts';
import { createReader } from './reader.ts';
import { ReaderTokenizer, type TokenizerFile } from './tokenizer.ts';

/**
 * The embedded reader on the files of the static assets binding.
 *
 * Nothing is fetched before the first call. One isolate holds one copy of each graph, whatever the number of readers made.
 */
export function createEmbeddedReader(assets: Fetcher): AttentionBackend & Answerer {
  const manifest = once('manifest', async () => (await read(assets, 'manifest.json')).json<Manifest>());
  const bytes = async (name: string) => new Uint8Array(await (await read(assets, name)).arrayBuffer());
  return createReader({
    manifest,
    tokenizer: once(
      'tokenizer',
      async () => new ReaderTokenizer(await (await read(assets, 'tokenizer.json')).json<TokenizerFile>()),
    ),
    scan: once('scan', async () => {
      const [{ block_tokens }, file] = await Promise.all([manifest(), bytes('scan.onnx')]);
      return loadGraph(runtime, file, block_tokens);
    }),
    answer: once('answer', async () => loadGraph(runtime, await bytes('answer.onnx'))),
  });
}

const loaded = new Map<string, Promise<unknown>>();

/** One load an isolate. A load that fails is forgotten, so that the next call tries again. */
function once<T>(name: string, load: () => Promise<T>): () => Promise<T> {
  return () => {
    const known = loaded.get(name) as Promise<T> | undefined;
    if (known) return known;
    const loading = load().catch((error: unknown) => {
      loaded.delete(name);
      throw error;
    });
    loaded.set(name, loading);
    return loading;
  };
}

async function read(assets: Fetcher, name: string): Promise<Response> {
  const response = await assets.fetch(`https://assets.local/${name}`);
  if (!response.ok) throw new Error(`the reader's file ${name} is missing (status ${response.status})`);
  return response;
}
