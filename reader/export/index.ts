import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { exportReader } from './export.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    fp32: { type: 'boolean', default: false },
    'full-attention': { type: 'boolean', default: false },
    out: { type: 'string', default: join(import.meta.dirname, '../assets') },
  },
});
const [folder] = positionals;
if (!folder) {
  console.error('npm run reader -- MODEL_DIR [--fp32] [--full-attention] [--out DIR]');
  process.exit(1);
}

mkdirSync(values.out, { recursive: true });
const files = exportReader(folder, { fp32: values.fp32, fullAttention: values['full-attention'] });
for (const [name, bytes] of files) {
  writeFileSync(join(values.out, name), bytes);
  console.log(`${name.padEnd(16)} ${(bytes.length / 2 ** 20).toFixed(2).padStart(6)} MiB`);
}
