import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Manifest } from '../../workers/attention/embedded/manifest.ts';
import { BLOCK } from './attention.ts';
import { answerGraph, scanGraph } from './graphs.ts';
import { type ReaderModel, readModel, WEIGHTS } from './model.ts';

export interface ExportOptions {
  /** Keep float32 weights; int8 otherwise. */
  fp32?: boolean;
  /** Compute the local layers over all T × T pairs (for comparison). */
  fullAttention?: boolean;
}

/**
 * The embedded reader's files by name, from a folder with model.safetensors (to scan), answer.safetensors, config.json and
 * tokenizer.json. The same folder gives the same bytes.
 */
export function exportReader(folder: string, options: ExportOptions = {}): Map<string, Uint8Array> {
  const model = readModel(folder);
  const graphs = { int8: !options.fp32, fullAttention: options.fullAttention ?? false };
  const files = new Map<string, Uint8Array>([
    ['scan.onnx', scanGraph(model, graphs)],
    ['answer.onnx', answerGraph(model, graphs)],
    ['tokenizer.json', readFileSync(join(folder, 'tokenizer.json'))],
  ]);
  const sha256: Record<string, string> = {};
  for (const [name, bytes] of files) sha256[name] = createHash('sha256').update(bytes).digest('hex');
  const weights = createHash('sha256')
    .update(readFileSync(join(folder, WEIGHTS.scan)))
    .digest('hex');
  const manifest = JSON.stringify(describe(model, weights, sha256), null, 2);
  files.set('manifest.json', new TextEncoder().encode(`${manifest}\n`));
  return files;
}

function describe({ config }: ReaderModel, weights: string, sha256: Record<string, string>): Manifest {
  const { reader } = config;
  return {
    // The weights that scan name the model: scores of two trainings of one shape must not be taken for the same.
    model: `${reader.name ?? 'sluice-reader'}@${weights.slice(0, 12)}`,
    tokens: {
      bos: reader.tokens.bos,
      question: reader.tokens.question,
      context: reader.tokens.context,
      answer: reader.tokens.answer,
    },
    max_window_tokens: reader.max_window_tokens,
    max_question_tokens: reader.max_question_tokens,
    block_tokens: BLOCK,
    settings: {
      // What is left of the window beside the longest question and the three marks.
      window_tokens: reader.max_window_tokens - reader.max_question_tokens - 3,
      ...reader.settings,
    },
    answer: { max_window_tokens: reader.answer_model.max_tokens, max_tokens: 64, ...reader.answer },
    sha256,
  };
}
