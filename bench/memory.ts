import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { peakMemory } from './process.ts';
import { answer, withWorker } from './run.ts';
import { buried, byteStream, CHARACTERS_PER_TOKEN, haystack } from './text.ts';

/** Peak memory of the whole process family for documents of growing size, each in a fresh process. */
export async function main(argv: string[]): Promise<void> {
  const { values } = parseArgs({
    args: argv,
    options: {
      sizes: { type: 'string', default: '1,10,100' },
      'scan-up-to': { type: 'string', default: '10' },
      one: { type: 'string' },
    },
  });
  const limit = Number(values['scan-up-to']);
  if (values.one !== undefined) return one(Number(values.one), Number(values.one) <= limit);
  console.log('     MB  what            peak MiB  seconds');
  for (const size of values.sizes.split(',')) {
    const args = [
      fileURLToPath(new URL('index.ts', import.meta.url)),
      'memory',
      '--one',
      size,
      '--scan-up-to',
      `${limit}`,
    ];
    const child = spawnSync(process.execPath, ['--no-warnings', ...args], { encoding: 'utf8' });
    if (child.status !== 0) throw new Error(child.stderr);
    console.log(child.stdout.trimEnd().split('\n').slice(1).join('\n'));
  }
}

async function one(megabytes: number, scan: boolean): Promise<void> {
  const { paragraphs } = haystack();
  const line = (what: string, since: number) =>
    console.log(
      `${String(megabytes).padStart(7)}  ${what.padEnd(14)} ${peakMemory().toFixed(0).padStart(9)} ${((performance.now() - since) / 1000).toFixed(1).padStart(8)}`,
    );
  await withWorker(async (client) => {
    const session = await client.createSession();
    let since = performance.now();
    const tokens = (megabytes * 1e6) / CHARACTERS_PER_TOKEN;
    await client.addDocument(
      session,
      'long',
      byteStream(buried(paragraphs, tokens, 'The harbour gate opens at six.', 0.5)),
    );
    line('sent', since);
    if (!scan) return;
    since = performance.now();
    await answer(client, session, 'When does the harbour gate open?', 'sequential');
    line('sent + asked', since);
  });
}
