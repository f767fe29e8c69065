import { parseArgs } from 'node:util';
import { exportReader } from '../reader/export/export.ts';
import { readerFrom } from '../reader/node.ts';
import type { AttentionBackend } from '../shared/attention.ts';
import { squadWindows } from './reader-windows.ts';

/** How often the int8 reader picks the same best sentence as the float32 reader, over windows of SQuAD 1.1. */
export async function readerParity(argv: string[]): Promise<void> {
  const { values } = parseArgs({
    args: argv,
    options: {
      model: { type: 'string', default: 'reader/weights' },
      windows: { type: 'string', default: '500' },
    },
  });
  const windows = squadWindows(Number(values.windows), 3600);
  if (!windows) {
    console.log('skipped: ../shared/data/dev is not on this machine');
    return;
  }
  const int8 = await readerFrom(exportReader(values.model));
  const fp32 = await readerFrom(exportReader(values.model, { fp32: true }));
  let same = 0;
  let change = 0;
  for (const { question, sentences } of windows) {
    const masses = [];
    for (const { reader } of [int8, fp32]) masses.push(await sentenceMass(reader, question, sentences));
    const [a, b] = masses as [number[], number[]];
    same += Number(best(a) === best(b));
    change += a.reduce((sum, mass, i) => sum + Math.abs(mass - b[i]!), 0) / 2;
  }
  const share = ((same / windows.length) * 100).toFixed(1);
  console.log(`same best sentence in ${same} of ${windows.length} windows (${share}%)`);
  console.log(`mean total variation of the sentences' mass ${(change / windows.length).toFixed(4)}`);
}

async function sentenceMass(reader: AttentionBackend, question: string, sentences: string[]) {
  const { windows } = await reader.score({ question, windows: [{ sentences }] });
  return windows[0]!.sentences.map(({ importance }) => importance.reduce((sum, x) => sum + x, 0));
}

const best = (values: number[]): number => values.indexOf(Math.max(...values));
