import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, stop } from 'esbuild';
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from 'miniflare';
import { type Fetch, fetchFrom } from './http.ts';
import { readVariables } from './variables.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const wasm = 'ort-wasm-simd-threaded.wasm';

/** The Worker of wrangler.toml as one module; the wasm stays beside it, as workerd wants it. */
async function bundle(entry: string): Promise<string> {
  const result = await build({
    entryPoints: [join(root, entry)],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2024',
    conditions: ['workerd', 'worker', 'browser'],
    external: ['node:*', 'cloudflare:*'],
    logLevel: 'error',
    plugins: [
      {
        name: 'wasm-module',
        setup: (b) => b.onResolve({ filter: /\.wasm$/ }, () => ({ path: `./${wasm}`, external: true })),
      },
    ],
  });
  // Its helper process would otherwise stay as long as this one.
  await stop();
  return result.outputFiles[0]!.text;
}

/**
 * Starts the product's Worker in this process' own workerd: the same code, Durable Objects and queue as deployed, with the state in
 * `folder`. No port to open, no account. The caller disposes of it.
 *
 * @param folder where SQLite and the queue keep their files; made if missing
 * @param entry the Worker's main module, from the repository's root; benchmarks give their own
 */
export async function startWorker(folder: string, entry = 'workers/index.ts'): Promise<Miniflare> {
  await mkdir(folder, { recursive: true });
  const require = createRequire(import.meta.url);
  const [script, contents] = await Promise.all([
    bundle(entry),
    readFile(require.resolve(`onnxruntime-web/${wasm}`)),
  ]);
  const options = convertV4MiniflareOptions({
    name: 'sluice',
    log: new Log(LogLevel.ERROR),
    modulesRoot: root,
    modules: [
      { type: 'ESModule', path: join(root, 'worker.js'), contents: script },
      { type: 'CompiledWasm', path: join(root, wasm), contents },
    ],
    compatibilityDate: '2026-10-01',
    compatibilityFlags: ['nodejs_compat'],
    cf: false,
    durableObjects: { SESSIONS: { className: 'Session', useSQLite: true } },
    // The same variables that a deployed Worker has: see workers/env.ts.
    bindings: { ...(await readVariables()) },
    resourcePersistencePath: resolve(folder),
    queueProducers: { RUNS: 'sluice-runs' },
    queueConsumers: { 'sluice-runs': { maxBatchSize: 1, maxBatchTimeout: 0, maxRetries: 100 } },
    serviceBindings: { ASSETS: { disk: { path: join(root, 'reader/assets'), writable: false } } },
  });
  const miniflare = new Miniflare(options);
  await miniflare.ready;
  return miniflare;
}

/** The started Worker as a fetch function, over its own loopback address. */
export const inProcess = async (worker: Miniflare): Promise<Fetch> => fetchFrom(await worker.ready);
