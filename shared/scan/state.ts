import type { ScanSettings, WindowScores } from '../attention.ts';
import { type LexicalCounts, lexicalCounts } from '../lexical.ts';
import type { TokenizedSentence } from '../sentence.ts';

export type ScanMode = 'sequential' | 'tournament';

/** A sentence that has been read. */
export interface Placed extends TokenizedSentence {
  place: number;
}

/** A sentence that the cache had no room for, with its score when it was last read; larger is better. */
export interface RunnerUp extends Placed {
  score: number;
}

/**
 * Where a scan stands. Plain JSON, bounded by the evidence. Round 0 reads the documents; round r > 0 of a tournament reads the survivors
 * of round r-1, which the caller stores as they come and gives back in order.
 */
export interface ScanState {
  mode: ScanMode;
  settings: ScanSettings;
  round: number;
  /** Sentences of this round's input already read. */
  cursor: number;
  /** Tokens that this round has kept so far. */
  survived_tokens: number;
  /** Tokens of this round's input already read. */
  read_tokens: number;
  /** What the next window carries, in the order of the documents; once the scan is done, the evidence. */
  cache: Placed[];
  /** Best first. */
  runners_up: RunnerUp[];
  /** The question's words in the text so far; null where the settings give them no weight. */
  lexical: LexicalCounts | null;
  /** Windows scored so far, all rounds and passes. */
  windows: number;
  done: boolean;
}

/** One window to score: the cached sentences it carries, then the new ones, all in document order. */
export interface Window {
  sentences: TokenizedSentence[];
  /** How many sentences of the round's input it reads. */
  taken: number;
}

export type Plan =
  | { kind: 'window'; window: Window }
  /** More of the round's input is needed to fill a window. */
  | { kind: 'more' }
  /** Nothing to score: the round or the scan is over; `state` says which. */
  | { kind: 'advance'; state: ScanState };

export interface Outcome {
  state: ScanState;
  /** What the window leaves for the next round (tournament); empty in a sequential scan. */
  survivors: TokenizedSentence[];
  kept: number;
  evicted: number;
}

/** A way to run the loop, as a pure stepper: state and input in, a window to score out; scores in, the next state out. */
export interface Scan {
  /** @param question the words that count; in a second pass with those of the sentence behind it */
  start(settings: ScanSettings, question: string): ScanState;
  /**
   * @param ahead the round's input from `state.cursor` on, as much as the caller has at hand
   * @param complete whether `ahead` reaches the end of the round's input
   */
  plan(state: ScanState, ahead: TokenizedSentence[], complete: boolean): Plan;
  absorb(state: ScanState, window: Window, scores: WindowScores): Outcome;
}

export const startOf = (mode: ScanMode, settings: ScanSettings, question: string): ScanState => ({
  mode,
  settings,
  round: 0,
  cursor: 0,
  survived_tokens: 0,
  read_tokens: 0,
  cache: [],
  runners_up: [],
  lexical: settings.lexical_weight > 0 ? lexicalCounts(question) : null,
  windows: 0,
  done: false,
});
