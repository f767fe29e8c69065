import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createEndpointBackend } from '../../workers/attention/endpoint/index.ts';
import { fakeTiming } from './clock.ts';
import { json, serve } from './server.ts';

interface Scored {
  sentences: { importance: string }[];
  sink: number;
}
interface Pair {
  name: string;
  request: { inputs: { question: string; windows: { sentences: string[] }[] }; parameters: object };
  response: { windows?: Scored[]; error?: { code: string } };
}

// Recorded from inference/'s engine on a GPU, its default answer to each request.
const file = join(import.meta.dirname, '../../inference/contract/pairs.json');
const pairs = (JSON.parse(readFileSync(file, 'utf8')).pairs as Pair[]).filter(
  (p) => p.request.inputs.windows?.length,
);

/** float16 by its definition. */
function half(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const size = exponent === 0 ? (fraction / 1024) * 2 ** -14 : (1 + fraction / 1024) * 2 ** (exponent - 15);
  return bits & 0x8000 ? -size : size;
}

const values = (base64: string): number[] => {
  const bytes = Buffer.from(base64, 'base64');
  return Array.from({ length: bytes.length / 2 }, (_, i) => half(bytes.readUInt16LE(2 * i)));
};

test.each(pairs)('$name: the client reads what the engine wrote', async ({ request, response }) => {
  const server = await serve(json(response));
  try {
    const backend = createEndpointBackend({
      url: server.url,
      timing: fakeTiming(),
      parameters: request.parameters,
    });
    const { question, windows } = request.inputs;
    const call = backend.score({ question, windows });
    if (response.error) return await expect(call).rejects.toMatchObject({ retryable: false });
    const scored = await call;
    expect(server.received.at(-1)!.body).toEqual(request);
    expect(scored.windows.map((w) => w.sink)).toEqual(response.windows!.map((w) => w.sink));
    expect(scored.windows.map((w) => w.sentences.map((s) => [...s.importance]))).toEqual(
      response.windows!.map((w) => w.sentences.map((s) => values(s.importance))),
    );
  } finally {
    server.close();
  }
});
