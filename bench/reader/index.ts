import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type ScanMode, scans } from '../../shared/scan/index.ts';
import { needleGrid, repeatCells } from './cells.ts';
import { essaySentences } from './needles.ts';
import { testedReader } from './reader.ts';
import { longDocuments, oneText } from './recall.ts';
import { development, type LongRow, type QaRow, rowsOf } from './rows.ts';
import { unanswerable } from './unanswerable.ts';
import { oneWindow } from './window.ts';

const DEVELOPMENT: [suite: string, file: string, questions: number][] = [
  ['window', 'squad_v1.1.dev', 400],
  ['window', 'fairytaleqa.val', 400],
  ['unanswerable', 'squad_v2.0.dev', 1200],
  ['long', 'long_leval_legal_contract_qa', 100],
  ['long', 'long_fairytaleqa_val', 100],
  ['long', 'long_qmsum_val', 100],
  ['text', 'squad_v1.1.dev', 50],
];

/** Cells of the needle grid. */
const CELLS = 100;

/**
 * What the embedded reader finds and answers, int8 on the same runtime as the Worker's, BM25 beside it.
 *
 * `--data FILE` takes question rows or long documents of your own (JSON lines, .xz or not): see rows.ts. `--mode` names one way to scan
 * long texts; both otherwise. `--suite needles --tokens N` hides
 * sentences in essays. `--sentences FILE` writes the essays' sentences down for another program to hide needles in, and `--cells FILE` runs
 * a sample of that program's cells again: reader/training/needles.py.
 */
export async function main(argv: string[]): Promise<void> {
  const { values } = parseArgs({
    args: argv,
    options: {
      model: { type: 'string', default: 'reader/assets' },
      data: { type: 'string' },
      mode: { type: 'string', default: 'sequential,tournament' },
      suite: { type: 'string', default: 'window,unanswerable,long' },
      questions: { type: 'string' },
      tokens: { type: 'string', default: '20000' },
      cells: { type: 'string' },
      sentences: { type: 'string' },
    },
  });
  if (values.sentences) return writeSentences(values.sentences);
  const tested = await testedReader(values.model);
  const { reader, model, threshold } = tested;
  const { settings } = await reader.describe();
  console.log(`${model}, lexical weight ${settings.lexical_weight}, threshold ${threshold}`);
  if (values.cells) return repeatCells(tested, values.cells);
  const wanted = values.suite.split(',');
  const modes = values.mode.split(',').filter((mode): mode is ScanMode => mode in scans);
  const run = async (suite: string, path: string, questions: number) => {
    const most = Number(values.questions ?? questions);
    if (suite === 'long') return longDocuments(reader, rowsOf<LongRow>(path), most, modes);
    const rows = rowsOf<QaRow>(path);
    if (suite === 'window') return oneWindow(tested, rows, most);
    if (suite === 'text') return oneText(reader, rows, most, modes);
    return unanswerable(tested, rows, most);
  };
  if (values.data) {
    const [row] = rowsOf(values.data);
    const suites = row && 'document' in row ? ['long'] : wanted.filter((suite) => suite !== 'long');
    for (const suite of suites) await run(suite, values.data, 400);
    return;
  }
  for (const [suite, file, questions] of DEVELOPMENT) {
    if (!wanted.includes(suite)) continue;
    const path = development(file);
    console.log(path ? `\n${file}` : `skipped: ../shared/data/dev/${file}.jsonl.xz is not on this machine`);
    if (path) await run(suite, path, questions);
  }
  if (wanted.includes('needles'))
    await needleGrid(tested, Number(values.tokens), Number(values.questions ?? CELLS), modes);
}

function writeSentences(path: string): void {
  const sentences = essaySentences();
  if (!sentences) return;
  writeFileSync(path, `${sentences.map((text) => JSON.stringify(text)).join('\n')}\n`);
  console.log(`${sentences.length} sentences`);
}
