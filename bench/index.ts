import { cpus } from 'node:os';

// npm run bench -- NAME [options]: every figure in the README is printed by one of these.
const benchmarks: Record<string, () => Promise<{ main(argv: string[]): Promise<void> }>> = {
  nih: () => import('./nih.ts'),
  speed: async () => ({ main: (await import('./scan-speed.ts')).scanSpeed }),
  parity: async () => ({ main: (await import('./reader-parity.ts')).readerParity }),
  endpoint: () => import('./gpu/parity.ts'),
  heap: async () => ({ main: (await import('./reader-heap.ts')).readerHeap }),
  reader: () => import('./reader/index.ts'),
  memory: () => import('./memory.ts'),
  edge: () => import('./edge.ts'),
  kill: () => import('./kill.ts'),
};

const [name = '', ...argv] = process.argv.slice(2);
const load = benchmarks[name];
if (!load) {
  console.error(`npm run bench -- NAME, one of: ${Object.keys(benchmarks).join(', ')}`);
  process.exit(1);
}
const model = cpus()[0]?.model ?? 'unknown processor';
console.log(
  `${name}: ${cpus().length} cores of ${model}, node ${process.version}, ${new Date().toISOString().slice(0, 10)}`,
);
const benchmark = await load();
await benchmark.main(argv);
