import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { json, serve } from './server.ts';

let close = () => {};
afterEach(() => close());

const script = join(import.meta.dirname, '../../cli/doctor.ts');

/** Where no .dev.vars lies, with these variables alone. */
const doctor = (variables: Record<string, string>): Promise<{ code: number; said: string }> =>
  new Promise((resolve) => {
    const options = { cwd: tmpdir(), env: variables };
    execFile(process.execPath, ['--no-warnings', script], options, (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), said: stdout + stderr }),
    );
  });

test('the doctor says what works and what to do, and never a token', async () => {
  const server = await serve(json({}, 401));
  close = server.close;
  const [none, good, silent, unbound] = await Promise.all([
    doctor({}),
    doctor({ ATTENTION_URL: `${server.url}/v1`, ATTENTION_TOKEN: 'hf_secret' }),
    doctor({ ATTENTION_URL: 'http://127.0.0.1:9/v1', ATTENTION_TOKEN: 'hf_secret' }),
    doctor({ ANSWER_MODEL: '@cf/a/model' }),
  ]);
  expect(none).toMatchObject({ code: 0, said: expect.stringContaining('Attention: the embedded reader') });
  expect(good).toMatchObject({ code: 0, said: expect.stringContaining('✓ Attention: a/model at http') });
  expect(silent).toMatchObject({ code: 1, said: expect.stringContaining('Is it running') });
  expect(unbound).toMatchObject({ code: 1, said: expect.stringContaining('[ai]') });
  const refused = await doctor({ ANSWER_URL: server.url, ANSWER_TOKEN: 'hf_secret' });
  expect(refused).toMatchObject({ code: 1, said: expect.stringContaining('Check the URL and ANSWER_TOKEN') });
  for (const { said } of [good, silent, refused]) expect(said).not.toContain('hf_secret');
}, 60_000);
