import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { Readable } from 'node:stream';
import type { AskResult } from '../durable-objects/types.ts';
import { type Arguments, BadArguments, parseArguments, usage } from './arguments.ts';
import { Client, Problem } from './client.ts';
import { type CitationInContext, formatBytes, formatNumber, Progress, renderResult } from './render.ts';
import { inProcess, startWorker } from './worker.ts';

/** Code points of the document shown on either side of a citation. */
const CONTEXT = 120;

/** Streams the file (or standard input) in, counting what goes through. */
async function send(client: Client, session: string, file: string, progress: Progress): Promise<void> {
  const size = file === '-' ? undefined : (await stat(file)).size;
  const source = file === '-' ? process.stdin : createReadStream(file);
  let sent = 0;
  const counted = (Readable.toWeb(source) as ReadableStream<Uint8Array>).pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        sent += chunk.byteLength;
        progress.show('sending', sent, size, formatBytes(sent));
        controller.enqueue(chunk);
      },
    }),
  );
  await client.addDocument(session, file === '-' ? 'stdin' : basename(file), counted);
}

async function ask(client: Client, session: string, args: Arguments, progress: Progress): Promise<AskResult> {
  let started = performance.now();
  let reading = 'reading';
  for await (const { event, data } of client.ask(session, args.question, args.mode)) {
    if (event === 'window.scored') {
      const rate = data.sentences / ((performance.now() - started) / 1000);
      const detail = `${formatNumber.format(data.windows)} windows, ${rate.toFixed(0)} sentences/s`;
      progress.show(data.round ? `round ${data.round + 1}` : reading, data.bytes, data.total_bytes, detail);
    } else if (event === 'run.again') {
      started = performance.now();
      reading = 'reading again';
    } else if (event === 'answer.completed') return data as AskResult;
    else if (event === 'run.failed') throw new Problem(data.detail ?? data.title ?? 'the run failed');
  }
  throw new Problem(`the run ended without an answer; ask again with --session ${session}`);
}

async function inContext(client: Client, session: string, result: AskResult): Promise<CitationInContext[]> {
  return Promise.all(
    result.citations.map(async (c) => ({
      ...c,
      before: await client.text(session, c.document, Math.max(0, c.start - CONTEXT), c.start),
      after: await client.text(session, c.document, c.end, c.end + CONTEXT),
    })),
  );
}

async function main(argv: string[]): Promise<number> {
  const args = parseArguments(argv);
  if (args === 'help') {
    console.log(usage);
    return 0;
  }
  const worker = await startWorker(args.state);
  const progress = new Progress();
  try {
    const client = new Client(await inProcess(worker));
    const session = args.session ?? (await client.createSession());
    if (args.file !== undefined) await send(client, session, args.file, progress);
    const result = await ask(client, session, args, progress);
    progress.clear();
    if (args.json) {
      const { answer, found, confidence, citations, read, seconds } = result;
      console.log(JSON.stringify({ session, answer, found, confidence, citations, read, seconds }));
    } else {
      console.log(renderResult(result, await inContext(client, session, result), session));
    }
    return result.found ? 0 : 3;
  } finally {
    progress.clear();
    await worker.dispose();
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const known =
    error instanceof Problem ||
    error instanceof BadArguments ||
    (error as { code?: string }).code === 'ENOENT';
  console.error(`error: ${(error as Error).message}`);
  if (error instanceof BadArguments) console.error(`\n${usage}`);
  else if (!known) console.error((error as Error).stack);
  process.exitCode = 1;
}
