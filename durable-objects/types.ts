import type { ScanMode, ScanState } from '../shared/scan/index.ts';
import type { FirstPass } from '../shared/scan/second.ts';
import type { TokenizedSentence } from '../shared/sentence.ts';

export interface SessionInfo {
  id: string;
  /** Milliseconds since the epoch, like every time here. */
  created: number;
  expires: number;
  documents: DocumentInfo[];
  questions: { id: string; mode: ScanMode; status: QuestionStatus }[];
}

export interface DocumentInfo {
  id: string;
  name: string;
  complete: boolean;
  sentences: number;
  code_points: number;
  bytes: number;
}

/** Whole sentences of one document, one after the other. */
export interface Block {
  /** First code point. */
  start: number;
  text: string;
  /** Length of each sentence in UTF-16 units: they tile `text`. */
  lengths: number[];
  code_points: number;
  /** UTF-8. */
  bytes: number;
}

/** What a reader of sentences gets: a block, or the rest of one. */
export interface TextRun {
  document: string;
  start: number;
  text: string;
  lengths: number[];
}

export interface Upload {
  document: DocumentInfo;
  /** The right to append; an older upload of the same document loses it. */
  upload: string;
}

export type QuestionStatus = 'running' | 'completed' | 'failed';

export interface Citation {
  document: string;
  /** Code points of the document's text. */
  start: number;
  end: number;
  exact: string;
  prefix: string;
  suffix: string;
}

export interface AskResult {
  answer: string;
  found: boolean;
  confidence: number;
  citations: Citation[];
  read: { windows: number; sentences: number; bytes: number };
  seconds: number;
}

export interface Size {
  sentences: number;
  bytes: number;
}

/** Everything that a run needs to go on from where another stopped. Plain JSON. */
export interface RunState {
  scan: ScanState;
  model: string;
  /** Read of the documents so far; a second pass reads nothing new. */
  read: Size;
  /** This round's input: the documents, or the survivors of the round before. */
  input: Size;
  /** Bytes of this round's input already read. */
  round_bytes: number;
  /** What this round has left for the next one so far. */
  survivors: Size;
  /** While the text is read a second time: what the first has come to. */
  first?: FirstPass;
  /** Once answered, where the answerer tells it: the probability of each cached sentence to be the one that answers. */
  relevance?: number[];
}

export type EventType =
  | 'run.started'
  | 'window.scored'
  | 'evidence.updated'
  | 'run.again'
  | 'answer.completed'
  | 'run.failed';

export interface NewEvent {
  type: EventType;
  data: object;
}

export interface StoredEvent {
  id: number;
  type: EventType;
  /** JSON. */
  data: string;
}

export interface QuestionInfo {
  id: string;
  question: string;
  mode: ScanMode;
  status: QuestionStatus;
  created: number;
  /** Size of the documents when the question was asked: what it reads. */
  input: Size;
  state: RunState | null;
  /** The answer, or the problem that ended the run. */
  result: AskResult | object | null;
}

/** `held`: another driver holds the lease. `over`: completed, failed or deleted. */
export type Claim =
  | { kind: 'claimed'; lease: string; version: number; question: QuestionInfo }
  | { kind: 'held' }
  | { kind: 'over' };

export interface Commit {
  question: string;
  lease: string;
  /** The version that this commit follows; any other is refused. */
  version: number;
  /** Null when the run ended before its first step. */
  state: RunState | null;
  /** Survivors of round `round`, from position `first` on. */
  survivors: { round: number; first: number; sentences: TokenizedSentence[] }[];
  events: NewEvent[];
  end?: { status: 'completed' | 'failed'; result: object };
}

/** The session's methods as a caller sees them through RPC. Nothing throws for what a client can cause: absence is null or false. */
export interface SessionApi {
  create(id: string): Promise<SessionInfo>;
  /** Counts as use: pushes the expiry back. */
  describe(): Promise<SessionInfo | null>;
  /** Deletes everything. */
  destroy(): Promise<void>;
  open(request: { name: string; key: string | null }): Promise<Upload | { complete: DocumentInfo }>;
  append(document: string, upload: string, number: number, block: Block): Promise<boolean>;
  finish(document: string, upload: string): Promise<DocumentInfo | null>;
  drop(document: string, upload: string): Promise<void>;
  document(id: string): Promise<DocumentInfo | null>;
  readText(document: string, start: number, end: number): Promise<string | null>;
  readSentences(cursor: number): Promise<TextRun | null>;
  ask(request: { question: string; mode: ScanMode; key: string | null }): Promise<string | null>;
  question(id: string): Promise<QuestionInfo | null>;
  events(question: string, after: number): Promise<{ events: StoredEvent[]; status: QuestionStatus } | null>;
  claim(question: string): Promise<Claim>;
  renew(question: string, lease: string): Promise<boolean>;
  /** Gives the lease back; the queue goes on with the run. */
  handOver(question: string, lease: string): Promise<void>;
  /** Gives the lease back; the caller comes again after so long, or the alarm looks after the run a little later. */
  rest(question: string, lease: string, milliseconds: number): Promise<void>;
  commit(commit: Commit): Promise<StoredEvent[] | null>;
  survivors(question: string, round: number, from: number): Promise<TokenizedSentence[]>;
}

/** A queue message: go on with this run. */
export interface RunMessage {
  session: string;
  question: string;
}
