import { parseArgs } from 'node:util';
import { exportReader } from '../reader/export/export.ts';
import { readerFrom } from '../reader/node.ts';
import type { ScanSettings, WindowScores } from '../shared/attention.ts';
import { lexicalCounts, scoreLexically } from '../shared/lexical.ts';
import { rankSentences } from '../shared/selection.ts';
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
  let alone = 0;
  let change = 0;
  for (const { question, sentences } of windows) {
    const masses = [];
    const firsts = [];
    for (const { reader } of [int8, fp32]) {
      const { windows: scores } = await reader.score({ question, windows: [{ sentences }] });
      masses.push(massOf(scores[0]!));
      firsts.push(bestOf(scores[0]!, int8.manifest.settings, question, sentences));
    }
    const [a, b] = masses as [number[], number[]];
    same += Number(firsts[0] === firsts[1]);
    alone += Number(best(a) === best(b));
    change += a.reduce((sum, mass, i) => sum + Math.abs(mass - b[i]!), 0) / 2;
  }
  const share = (n: number) =>
    `${n} of ${windows.length} windows (${((n / windows.length) * 100).toFixed(1)}%)`;
  console.log(`same best sentence in ${share(same)}; by attention alone in ${share(alone)}`);
  console.log(`mean total variation of the sentences' mass ${(change / windows.length).toFixed(4)}`);
}

const massOf = ({ sentences }: WindowScores): number[] =>
  sentences.map(({ importance }) => importance.reduce((sum, x) => sum + x, 0));

/** Place of the sentence that the product ranks first. */
function bestOf(scores: WindowScores, settings: ScanSettings, question: string, sentences: string[]) {
  const texts = sentences.map((text) => ({ text }));
  const words = scoreLexically(lexicalCounts(question), texts, texts.length);
  return rankSentences(scores, settings, words.scores)[0]?.index;
}

const best = (values: number[]): number => values.indexOf(Math.max(...values));
