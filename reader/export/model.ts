import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { ScanSettings } from '../../shared/attention.ts';
import type { Manifest } from '../../workers/attention/embedded/manifest.ts';
import { readSafetensors, type Tensor } from './safetensors.ts';

/** Sizes of one model's layers. */
export interface Shape {
  hidden_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  head_dim: number;
  intermediate_size: number;
  rms_norm_eps: number;
  rope_theta: number;
}

/** The parts of a reader's config.json that the exporter uses; the shape is the scan model's. */
export interface ReaderConfig extends Shape {
  num_key_value_heads: number;
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
    /** How answers are read off the scores; fitted after training. */
    answer: Omit<Manifest['answer'], 'max_tokens' | 'max_window_tokens'>;
    /** Embeddings of `embedding_size` are brought to the width of the layers; an input has at most `max_tokens`. */
    answer_model: Shape & { embedding_size: number; max_tokens: number };
  };
}

/** Weights of one of the two models, in float32. */
export interface Model {
  shape: Shape;
  /** @throws Error when the file has no tensor of this name. */
  weight(name: string): Tensor;
}

/** A trained reader: a causal model to scan with (stock Qwen3) and an encoder to answer with. */
export interface ReaderModel {
  config: ReaderConfig;
  scan: Model;
  answer: Model;
}

/** The weight files of a reader's folder. */
export const WEIGHTS = { scan: 'model.safetensors', answer: 'answer.safetensors' };

/** Reads config.json and the weights of a folder. */
export function readModel(folder: string): ReaderModel {
  const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as ReaderConfig;
  if (config.num_attention_heads !== config.num_key_value_heads)
    throw new Error('the exporter expects as many key heads as query heads');
  return {
    config,
    scan: modelOf(config, join(folder, WEIGHTS.scan)),
    answer: modelOf(config.reader.answer_model, join(folder, WEIGHTS.answer)),
  };
}

function modelOf(shape: Shape, path: string): Model {
  const tensors = readSafetensors(path);
  return {
    shape,
    weight(name) {
      const tensor = tensors.get(name);
      if (!tensor) throw new Error(`${basename(path)} has no ${name}`);
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
