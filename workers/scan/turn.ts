import type { SessionApi, StoredEvent } from '../../durable-objects/types.ts';
import type { Answerer, AttentionBackend } from '../../shared/attention.ts';
import type { Ledger } from './ledger.ts';

/** What only who listens now is told: it is not stored and has no number, and `answer.completed` holds the whole. */
export interface Notice {
  type: 'backend.warming' | 'answer.delta';
  data: object;
}

export interface Run {
  session: SessionApi;
  question: string;
  backend: AttentionBackend;
  answerer: Answerer;
  /** Aborted when nobody listens any more: the queue goes on. */
  signal: AbortSignal;
  onEvent: (event: StoredEvent) => void;
  onNotice: (notice: Notice) => void;
}

/** What a driver has in hand for one turn. */
export interface Turn {
  run: Run;
  question: string;
  backend: AttentionBackend & Answerer;
  ledger: Ledger;
  /** Windows that the backend likes to get together. */
  atOnce: number;
  /** When the turn is over, in milliseconds since the epoch. */
  ends: number;
}

/** The listener has left or the time is over: what has been done is committed, another driver goes on. */
export class TurnOver extends Error {}
