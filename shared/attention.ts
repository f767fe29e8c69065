import type { LexicalCounts } from './lexical.ts';

/** The seam between the scan and whatever reads attention: an embedded model or a GPU endpoint. */

/** How a scan uses a backend. Token counts are the backend's own. */
export interface ScanSettings {
  /** Document tokens in one window, cached sentences included. */
  window_tokens: number;
  /** Upper bound of the cache, in tokens: what a window carries on. */
  cache_tokens: number;
  /**
   * Upper bound of the evidence that a scan leaves, in tokens, `cache_tokens` at least: beside the cache the best of what it has evicted,
   * which no window reads again.
   */
  evidence_tokens: number;
  /** K: the best tokens whose sentences stay (paper, section 3: 300). */
  top_tokens: number;
  /** k: width of the phrase convolution (paper: 8; 1 means none). */
  phrase_tokens: number;
  /** What orders sentences under the bound: the best convolved token ("peak", the paper) or the sum over the sentence ("mass"). */
  rank: 'peak' | 'mass';
  /**
   * What BM25 over the question's own words adds to the logarithm of a sentence's standing: 0 is the paper, attention alone. Above 0 the
   * standing of every sentence counts, not of those with a top-K token alone.
   */
  lexical_weight: number;
}

export interface BackendDescription {
  model: string;
  /** Longest question in tokens. */
  max_question_tokens: number;
  settings: ScanSettings;
  /** Windows that it likes to get in one request, where they do not depend on each other; 1 when left out. */
  windows_at_once?: number;
  /** An answer less certain than this is looked for in a second pass over the text (scan/second.ts); never when left out. */
  again_below?: number;
}

export interface ScoreRequest {
  question: string;
  /** In a second pass: the sentence that the first has found, which stands behind the question as far as there is room. */
  found?: string;
  /** Each window: its sentences in document order. */
  windows: { sentences: string[] }[];
}

export interface WindowScores {
  /** One array a sentence, one value a token: attention summed over the chosen heads and the question rows. */
  sentences: { importance: Float32Array }[];
  /** Attention mass left on <bos>: near 1 where the window holds no answer. */
  sink: number;
}

export interface AttentionBackend {
  describe(): Promise<BackendDescription>;
  /** Token count of each sentence. Deterministic. */
  countTokens(sentences: string[]): Promise<number[]>;
  /** @throws QuestionTooLong when the question does not fit. */
  score(request: ScoreRequest): Promise<{ windows: WindowScores[] }>;
}

/** Where in the evidence the answer stands: code points within `sentence`'s text. */
export interface AnswerSpan {
  sentence: number;
  start: number;
  end: number;
}

export interface Answer {
  found: boolean;
  /** Empty when nothing was found. */
  text: string;
  /** 0 … 1: probability that the evidence answers the question. */
  confidence: number;
  /** Spans of the evidence that prove the answer; empty when not found. */
  spans: AnswerSpan[];
  /**
   * Probability of each sentence of the evidence to be the one that answers, where the answerer knows it. What is missing to 1 is the
   * probability that none does.
   */
  relevance?: number[];
}

export interface Answerer {
  /**
   * @param request `found` as in a ScoreRequest: it helps to tell what matters of the evidence, the question alone is answered; `counts`
   *   of what has been read, where the scan counts words: in evidence alone the words asked for are never rare; `onDelta` hears the text
   *   piece by piece where the model writes it so; the answer returned has the last word
   */
  answer(request: {
    question: string;
    evidence: string[];
    found?: string;
    counts?: LexicalCounts;
    onDelta?: (text: string) => void;
    signal?: AbortSignal;
  }): Promise<Answer>;
}

/** The question has more tokens than the model takes. */
export class QuestionTooLong extends Error {
  readonly tokens: number;
  readonly limit: number;

  constructor(tokens: number, limit: number) {
    super(`the question has ${tokens} tokens, the model takes ${limit}`);
    this.name = 'QuestionTooLong';
    this.tokens = tokens;
    this.limit = limit;
  }
}
