import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AnswerSettings } from '../../shared/answer.ts';
import type { ScanSettings } from '../../shared/attention.ts';
import { readSafetensors, type Tensor } from './safetensors.ts';

/** The parts of a reader's config.json that the exporter uses. */
export interface ReaderConfig {
  hidden_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  num_key_value_heads: number;
  head_dim: number;
  intermediate_size: number;
  vocab_size: number;
  rms_norm_eps: number;
  rope_theta: number;
  reader: {
    name?: string;
    retrieval_layer: number;
    retrieval_heads: number[];
    local_window: number;
    local_layers: number[];
    tokens: { bos: number; question: number; context: number; answer: number };
    max_question_tokens: number;
    max_window_tokens: number;
    /** How a scan uses the reader; the window's size follows from the layout. */
    settings: Omit<ScanSettings, 'window_tokens'>;
    /** Turns the span's score into a probability; fitted after training, on articles kept out of it. */
    answer: Omit<AnswerSettings, 'max_tokens'>;
  };
}

/** A trained reader: Qwen3 weights and a span head, in float32. */
export interface ReaderModel {
  config: ReaderConfig;
  /** @throws Error when the file has no tensor of this name. */
  weight(name: string): Tensor;
}

/** Reads config.json and model.safetensors of a folder. */
export function readModel(folder: string): ReaderModel {
  const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as ReaderConfig;
  if (config.num_attention_heads !== config.num_key_value_heads)
    throw new Error('the exporter expects as many key heads as query heads');
  const tensors = readSafetensors(join(folder, 'model.safetensors'));
  return {
    config,
    weight(name) {
      const tensor = tensors.get(name);
      if (!tensor) throw new Error(`model.safetensors has no ${name}`);
      return tensor;
    },
  };
}

/** Rows of a matrix that belong to these heads. */
export function headRows(matrix: Tensor, heads: number[], headSize: number): Tensor {
  const width = matrix.shape[1]!;
  const data = new Float32Array(heads.length * headSize * width);
  heads.forEach((head, i) => {
    const from = head * headSize * width;
    data.set(matrix.data.subarray(from, from + headSize * width), i * headSize * width);
  });
  return { shape: [heads.length * headSize, width], data };
}
