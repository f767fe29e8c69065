import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answer } from '../../bench/run.ts';
import { byteStream } from '../../bench/text.ts';
import { Client } from '../../cli/client.ts';
import { inProcess, startWorker } from '../../cli/worker.ts';
import type { AskResult } from '../../durable-objects/types.ts';

interface Example {
  question: string;
  answer: string | null;
  /** Part of the sentence that holds the answer. */
  sentence: string | null;
}

const root = join(import.meta.dirname, '../..');
const examples = JSON.parse(readFileSync(join(root, 'examples/questions.json'), 'utf8')) as Record<
  string,
  Example[]
>;
const english = Object.keys(examples).filter((file) => !file.includes('.zh.'));
/** Two facts, a question that they answer together, and its answer. */
const chains = [
  [
    'The organ was a gift of the widow Tamsin Hale.',
    'Tamsin Hale had come into money through a patent for hooks.',
    'How did the giver of the organ become rich?',
    'patent for hooks',
  ],
  [
    'The bequest of Dr Pym pays for the reading room.',
    'Dr Pym made his fortune in umbrellas.',
    'In what trade was the money earned that keeps the reading room open?',
    'umbrellas',
  ],
] as const;
const oneSpace = (text: string) => text.replace(/\s+/g, ' ');

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-test-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the product in workerd, with the embedded reader', () => {
  let worker: Awaited<ReturnType<typeof startWorker>>;
  let client: Client;
  beforeAll(async () => {
    worker = await startWorker(folder);
    client = new Client(await inProcess(worker));
  }, 60_000);
  afterAll(() => worker.dispose());

  it('keeps the sentence that answers, and cites exactly', { timeout: 240_000 }, async () => {
    const lost: string[] = [];
    let asked = 0;
    for (const file of Object.keys(examples)) {
      const text = readFileSync(join(root, 'examples', file), 'utf8');
      const characters = Array.from(text);
      const session = await client.createSession();
      await client.addDocument(session, file, byteStream([text]));
      for (const { question, sentence } of examples[file]!) {
        const result = await answer(client, session, question, asked % 2 === 0 ? 'sequential' : 'tournament');
        const run = (await client.json(`/v1/sessions/${session}/questions/${result.id}`)) as {
          evidence: { start: number; end: number; exact: string }[];
        };
        for (const { start, end, exact } of [...result.citations, ...run.evidence]) {
          expect(characters.slice(start, end).join('')).toBe(exact);
        }
        expect(result.read.bytes).toBe(Buffer.byteLength(text));
        expect(result.found).toBe(result.answer !== '');
        if (sentence === null || !english.includes(file)) continue;
        asked++;
        if (!run.evidence.some(({ exact }) => oneSpace(exact).includes(sentence))) lost.push(question);
      }
    }
    // The reader is small: a few sentences are asked for in words too far from their own.
    expect(lost.length, lost.join('\n')).toBeLessThanOrEqual(asked * 0.2);
  });

  it('answers from two facts that stand far apart, by a second look', { timeout: 120_000 }, async () => {
    const filler = ['incident-report.md', 'manual.txt'].map((file) =>
      readFileSync(join(root, 'examples', file), 'utf8'),
    );
    let answered = 0;
    for (const [first, second, question, right] of chains) {
      const text = [first, ...filler, second].join('\n\n');
      const session = await client.createSession();
      await client.addDocument(session, 'chain', byteStream([text]));
      const told = [];
      for await (const event of client.ask(session, question, 'sequential')) told.push(event);
      const { answer: said, citations, read } = told.at(-1)!.data as AskResult;
      const again = told.find(({ event }) => event === 'run.again')?.data;
      expect(read.bytes).toBe(Buffer.byteLength(text));
      for (const { start, end, exact } of again ? [again.found, ...citations] : citations) {
        expect(Array.from(text).slice(start, end).join('')).toBe(exact);
      }
      if (again && said.includes(right) && citations.every((c) => second.includes(c.exact.trim())))
        answered++;
    }
    // The reader need not be uncertain of all of them, nor right.
    expect(answered).toBeGreaterThan(0);
  });
});

describe('npm run ask', () => {
  const ask = (args: string[], input = '') =>
    spawnSync(
      process.execPath,
      ['--no-warnings', join(root, 'cli/ask.ts'), '--state', join(folder, 'ask'), ...args],
      {
        input,
        encoding: 'utf8',
      },
    );

  it('answers from standard input, and again from the session', { timeout: 60_000 }, () => {
    const text = readFileSync(join(root, 'examples/manual.txt'), 'utf8');
    const question = 'How much does the press weigh without the motor?';
    const first = ask(['--json', '-', question], text);
    expect(first.status, first.stderr).toBe(0);
    const { session, answer: said, citations } = JSON.parse(first.stdout);
    expect(said).toContain('412');
    expect(Array.from(text).slice(citations[0].start, citations[0].end).join('')).toBe(citations[0].exact);
    const again = JSON.parse(ask(['--json', '--session', session, question]).stdout);
    expect({ ...again, seconds: 0, session }).toEqual({ ...JSON.parse(first.stdout), seconds: 0 });
  });

  it('says what is wrong and ends with 1', { timeout: 60_000 }, () => {
    expect(ask(['no-such-file.txt', 'Who?'])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('no-such-file.txt'),
    });
    expect(ask(['-', 'Who?'], '')).toMatchObject({ status: 1, stderr: expect.stringContaining('no text') });
    expect(ask(['only-a-file.txt'])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('question'),
    });
  });
});
