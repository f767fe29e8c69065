import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { build, stop } from 'esbuild';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import * as ort from 'onnxruntime-web';
import { exportReader } from '../reader/export/export.ts';
import { loadGraph } from '../workers/attention/embedded/graph.ts';
import type { Manifest } from '../workers/attention/embedded/manifest.ts';

/** Question rows of a run: a question of 18 tokens and its two marks. */
const ROWS = 20;
/** English sentences of this tokenizer, on average; turns tokens into sentences. */
const TOKENS_A_SENTENCE = 26;

interface Timing {
  tokens: number;
  milliseconds: number;
}

/**
 * Speed of the scan graph in workerd and in Node on one thread, best of --times runs; with --model, beside it the same model exported
 * with full attention, in the same process.
 */
export async function scanSpeed(argv: string[]): Promise<void> {
  const { values } = parseArgs({
    args: argv,
    options: {
      assets: { type: 'string', default: join(import.meta.dirname, '../reader/assets') },
      model: { type: 'string', default: 'reader/weights' },
      tokens: { type: 'string', default: '512,1024,2048' },
      times: { type: 'string', default: '15' },
    },
  });
  const lengths = values.tokens.split(',').map(Number);
  const graphs = new Map<string, Uint8Array>([
    ['scan', new Uint8Array(readFileSync(join(values.assets, 'scan.onnx')))],
  ]);
  if (values.model)
    graphs.set('full attention', exportReader(values.model, { fullAttention: true }).get('scan.onnx')!);
  const manifest = JSON.parse(readFileSync(join(values.assets, 'manifest.json'), 'utf8')) as Manifest;
  console.log(`${manifest.model}, best of ${values.times} runs, one thread`);
  console.log('where    graph            tokens       ms   tokens/s  sentences/s');
  const worker = await startWorker();
  try {
    for (const [where, measure] of [
      ['workerd', measureInWorker(worker)],
      ['node', measureInNode],
    ] as const) {
      const found = new Map<string, Timing[]>();
      for (const [name, bytes] of graphs) {
        const timings = await measure(bytes, lengths, Number(values.times));
        found.set(name, timings);
        for (const timing of timings) console.log(line(where, name, timing));
      }
      const [local, full] = [...found.values()];
      if (local && full) {
        const ratios = local.map(
          ({ tokens, milliseconds }, i) =>
            `${(full[i]!.milliseconds / milliseconds).toFixed(2)} at ${tokens}`,
        );
        console.log(`${where}: full attention takes this many times as long: ${ratios.join(', ')}`);
      }
    }
  } finally {
    await worker.dispose();
  }
}

function line(where: string, name: string, { tokens, milliseconds }: Timing): string {
  const rate = (tokens / milliseconds) * 1000;
  return [
    where.padEnd(8),
    name.padEnd(14),
    String(tokens).padStart(8),
    milliseconds.toFixed(1).padStart(8),
    rate.toFixed(0).padStart(10),
    (rate / TOKENS_A_SENTENCE).toFixed(0).padStart(12),
  ].join(' ');
}

const wasm = 'ort-wasm-simd-threaded.wasm';

async function startWorker(): Promise<Miniflare> {
  const bundle = await build({
    entryPoints: [join(import.meta.dirname, 'scan-speed-worker.ts')],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2024',
    conditions: ['workerd', 'worker', 'browser'],
    external: ['node:*'],
    logLevel: 'error',
    plugins: [
      {
        name: 'wasm-module',
        setup: (b) => b.onResolve({ filter: /\.wasm$/ }, () => ({ path: `./${wasm}`, external: true })),
      },
    ],
  });
  await stop();
  const contents = readFileSync(createRequire(import.meta.url).resolve(`onnxruntime-web/${wasm}`));
  return new Miniflare(
    convertV4MiniflareOptions({
      name: 'scan-speed',
      modulesRoot: import.meta.dirname,
      modules: [
        {
          type: 'ESModule',
          path: join(import.meta.dirname, 'worker.js'),
          contents: bundle.outputFiles[0]!.text,
        },
        { type: 'CompiledWasm', path: join(import.meta.dirname, wasm), contents },
      ],
      compatibilityDate: '2026-10-01',
      compatibilityFlags: ['nodejs_compat'],
      cf: false,
    }),
  );
}

/** The shortest of `times` runs of each length, after one that warms up. */
async function shortest(run: (tokens: number) => Promise<unknown>, lengths: number[], times: number) {
  const found: Timing[] = [];
  for (const tokens of lengths) {
    await run(tokens);
    let milliseconds = Number.POSITIVE_INFINITY;
    for (let i = 0; i < times; i++) {
      const start = performance.now();
      await run(tokens);
      milliseconds = Math.min(milliseconds, performance.now() - start);
    }
    found.push({ tokens, milliseconds });
  }
  return found;
}

const measureInWorker =
  (worker: Miniflare) =>
  async (bytes: Uint8Array, lengths: number[], times: number): Promise<Timing[]> => {
    const address = await worker.ready;
    const send = async (query: string, init?: RequestInit) => {
      const response = await fetch(new URL(query, address), init);
      if (!response.ok) throw new Error(await response.text());
      return response.text();
    };
    await send('/', { method: 'POST', body: new Uint8Array(bytes) });
    return shortest((tokens) => send(`/?tokens=${tokens}&rows=${ROWS}`), lengths, times);
  };

async function measureInNode(bytes: Uint8Array, lengths: number[], times: number): Promise<Timing[]> {
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = 'error';
  const graph = await loadGraph(ort, bytes, 64);
  const run = (tokens: number) =>
    graph(
      Array.from({ length: tokens }, (_, i) => (i === 0 ? 0 : 6 + ((i * 7919) % 16000))),
      Array.from({ length: ROWS }, (_, i) => tokens - ROWS + i),
    );
  return shortest(run, lengths, times);
}
