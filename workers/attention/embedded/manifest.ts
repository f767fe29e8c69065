import type { AnswerSettings } from '../../../shared/answer.ts';
import type { ScanSettings } from '../../../shared/attention.ts';

/** What the reader's files say of themselves (reader/assets/manifest.json, written by the exporter). */
export interface Manifest {
  model: string;
  /** Ids of the marks of the layouts (see layout.ts). */
  tokens: { bos: number; question: number; context: number; answer: number };
  /** Longest input of the scan graph, marks and question included. */
  max_window_tokens: number;
  max_question_tokens: number;
  /** The scan graph takes a multiple of this many tokens. */
  block_tokens: number;
  settings: ScanSettings;
  answer: AnswerSettings & {
    /** Longest input of the answer graph, marks and question included. */
    max_window_tokens: number;
    /** What a sentence's standing counts beside its log odds where what to answer from is picked out of more evidence (shortlist.ts). */
    shortlist_weight: number;
  };
  /** SHA-256 of each file, hexadecimal. */
  sha256: Record<string, string>;
}
