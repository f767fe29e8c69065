import { readFile, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import type { WindowScores } from '../../shared/attention.ts';
import { readerFrom } from '../../reader/node.ts';
import { createEndpointBackend } from '../../workers/attention/endpoint/index.ts';
import { readScores } from '../../workers/attention/endpoint/wire.ts';
import { squadWindows } from '../reader-windows.ts';
import { keptOf, roundOf } from './windows.ts';

const HELP = `npm run bench -- endpoint, one of:
  --url http://127.0.0.1:8000/v1   against inference/server.py --model reader/weights
  --write FILE                     the requests, for bench/gpu/parity.py on another machine
  --scores FILE                    against what parity.py wrote there`;

/**
 * How many of the sentences that the embedded int8 reader keeps the same weights keep on the engine of inference/. Documents of about
 * 8,000 characters of SQuAD 1.1, cut into the windows of a tournament's first round.
 */
export async function main(argv: string[]): Promise<void> {
  const { values } = parseArgs({
    args: argv,
    options: {
      questions: { type: 'string', default: '200' },
      url: { type: 'string' },
      write: { type: 'string' },
      scores: { type: 'string' },
    },
  });
  const documents = squadWindows(Number(values.questions), 8000);
  if (!documents) return console.log('skipped: ../shared/data/dev is not on this machine');
  const { reader } = await readerFrom('reader/assets');
  const asked = await Promise.all(
    documents.map(async ({ question, sentences }) => ({ question, windows: await roundOf(reader, sentences) })),
  );
  const requests = asked.map(({ question, windows }) => ({
    question,
    windows: windows.map((w) => ({ sentences: w.sentences.map((s) => s.text) })),
  }));
  if (values.write) return writeFile(values.write, JSON.stringify(requests));
  const other = await scoresOf(values, requests);
  if (!other) return console.log(HELP);
  let kept = 0;
  let same = 0;
  let union = 0;
  let whole = 0;
  for (const [i, { question, windows }] of asked.entries()) {
    const embedded = await keptOf(reader, question, windows, (await reader.score(requests[i]!)).windows);
    const engine = await keptOf(reader, question, windows, await other(i));
    let agree = true;
    for (const [n, a] of embedded.entries()) {
      const b = engine[n]!;
      const both = [...a].filter((s) => b.has(s)).length;
      kept += a.size;
      same += both;
      union += a.size + b.size - both;
      agree &&= both === a.size && both === b.size;
    }
    whole += Number(agree);
  }
  const percent = (n: number, of: number) => `${((100 * n) / of).toFixed(1)}%`;
  console.log(`${same} of ${kept} sentences kept by the embedded reader are kept by the engine: ${percent(same, kept)}`);
  console.log(`of those that either keeps, both keep ${percent(same, union)}`);
  console.log(`${whole} of ${asked.length} questions keep exactly the same`);
}

type Requests = { question: string; windows: { sentences: string[] }[] }[];

async function scoresOf(
  { url, scores }: { url?: string | undefined; scores?: string | undefined },
  requests: Requests,
): Promise<((i: number) => Promise<WindowScores[]>) | undefined> {
  if (url) {
    const backend = createEndpointBackend({ url, token: process.env.ATTENTION_TOKEN, timeoutMs: 120_000 });
    return async (i) => (await backend.score(requests[i]!)).windows;
  }
  if (!scores) return undefined;
  const replies = JSON.parse(await readFile(scores, 'utf8')) as unknown[];
  return async (i) => readScores(replies[i], requests[i]!.windows);
}
