import { readerFrom } from '../../reader/node.ts';
import type { Answerer, AttentionBackend } from '../../shared/attention.ts';
import { createReader } from '../../workers/attention/embedded/reader.ts';

/** The embedded reader under test. It answers whatever it thinks of its answer: what the product refuses is below the threshold. */
export interface Tested {
  model: string;
  reader: AttentionBackend & Answerer;
  /** Answers below this confidence count as not found in the product. */
  threshold: number;
}

export async function testedReader(folder: string): Promise<Tested> {
  const { manifest, tokenizer, scan, answer } = await readerFrom(folder);
  const eager = { ...manifest, answer: { ...manifest.answer, threshold: 0 } };
  const reader = createReader({
    manifest: async () => eager,
    tokenizer: async () => tokenizer,
    scan: async () => scan,
    answer: async () => answer,
  });
  return { model: manifest.model, reader, threshold: manifest.answer.threshold };
}
