import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '../cli/client.ts';
import { inProcess, startWorker } from '../cli/worker.ts';
import type { AskResult } from '../durable-objects/types.ts';

/** Runs `work` against a fresh Worker whose state is thrown away afterwards. */
export async function withWorker<T>(work: (client: Client) => Promise<T>, entry?: string): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-bench-'));
  const worker = await startWorker(folder, entry);
  try {
    return await work(new Client(await inProcess(worker)));
  } finally {
    await worker.dispose();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Asks and waits for the answer. */
export async function answer(
  client: Client,
  session: string,
  question: string,
  mode: string,
): Promise<AskResult & { id?: string }> {
  let id: string | undefined;
  for await (const { event, data } of client.ask(session, question, mode)) {
    if (event === 'run.started') id = data.question;
    if (event === 'answer.completed') return id === undefined ? data : { ...data, id };
    if (event === 'run.failed') throw new Error(data.detail ?? 'the run failed');
  }
  throw new Error('the run ended without an answer');
}
