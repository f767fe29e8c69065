import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { exportReader } from '../../reader/export/export.ts';
import { readerFrom } from '../../reader/node.ts';
import { encodeQuestion, layOut, layOutToAnswer } from '../../workers/attention/embedded/layout.ts';

const folder = join(import.meta.dirname, '../../reader/weights');

interface Golden {
  context: string;
  question: string;
  input_ids: number[];
  answer_input_ids: number[];
  context_tokens: number;
  importance: number[];
  start_logits: number[];
  end_logits: number[];
  evidence_logits: number[];
}

/** Figures of the training program in float32, beside those of the exported graphs. */
describe('the exporter', () => {
  const golden = JSON.parse(readFileSync(join(folder, 'golden.json'), 'utf8')) as Golden[];
  let exact: Awaited<ReturnType<typeof readerFrom>>;

  beforeAll(async () => {
    exact = await readerFrom(exportReader(folder, { fp32: true }));
  }, 60_000);

  const rowsOf = ({ input_ids, context_tokens }: Golden) =>
    Array.from({ length: input_ids.length - context_tokens - 1 }, (_, i) => context_tokens + 1 + i);

  const largest = (found: Float32Array, expected: number[]) =>
    expected.reduce((max, x, i) => Math.max(max, Math.abs(x - found[i]!)), 0);

  it('makes the ids of the training tokenizer', () => {
    for (const { context, question, input_ids, answer_input_ids } of golden) {
      const { tokenizer } = exact;
      // The golden windows are not cut.
      const manifest = { ...exact.manifest, max_window_tokens: Number.POSITIVE_INFINITY };
      const asked = encodeQuestion(question, tokenizer, manifest);
      const text = tokenizer.encode(context);
      expect(layOut([text], asked, manifest).ids).toEqual(input_ids);
      // Of a long context the answer model reads a part.
      const part = answer_input_ids.slice(asked.length + 3);
      expect(text.join()).toContain(part.join());
      expect(layOutToAnswer([part], asked, manifest).ids).toEqual(answer_input_ids);
    }
  });

  it('keeps the importance of the float32 model to 1e-4', async () => {
    for (const g of golden) {
      const { importance } = await exact.scan(g.input_ids, rowsOf(g));
      expect(importance).toHaveLength(g.input_ids.length);
      expect(largest(importance!, g.importance)).toBeLessThan(1e-4);
    }
  }, 60_000);

  it('keeps the scores of the float32 answer model', async () => {
    for (const g of golden) {
      const scores = await exact.answer(g.answer_input_ids);
      // The file holds four decimals.
      for (const name of ['start_logits', 'end_logits', 'evidence_logits'] as const) {
        expect(scores[name]).toHaveLength(g.answer_input_ids.length);
        expect(largest(scores[name]!, g[name]), name).toBeLessThan(1e-3);
      }
    }
  }, 60_000);

  it('computes the same with attention in blocks and over all pairs', async () => {
    const full = await readerFrom(exportReader(folder, { fp32: true, fullAttention: true }));
    for (const g of golden) {
      const { importance } = await full.scan(g.input_ids, rowsOf(g));
      expect(largest(importance!, g.importance)).toBeLessThan(1e-4);
    }
  }, 60_000);

  it('writes the same bytes again', () => {
    const [first, second] = [exportReader(folder), exportReader(folder)];
    expect([...first.keys()]).toEqual([...second.keys()]);
    for (const [name, bytes] of first) expect(Buffer.compare(bytes, second.get(name)!), name).toBe(0);
    for (const [name, bytes] of first) {
      const shipped = readFileSync(join(folder, '../assets', name));
      expect(Buffer.compare(bytes, shipped), `reader/assets/${name}`).toBe(0);
    }
  }, 60_000);
});
