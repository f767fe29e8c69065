import { measure } from '../../durable-objects/blocks.ts';
import type {
  Claim,
  Commit,
  NewEvent,
  RunState,
  SessionApi,
  Size,
  StoredEvent,
} from '../../durable-objects/types.ts';
import type { Outcome, ScanState, Window } from '../../shared/scan/index.ts';
import type { FirstPass, Reading } from '../../shared/scan/second.ts';
import type { Sentence } from '../../shared/sentence.ts';

/** Windows whose outcomes may wait for one commit, and how long: what a kill can cost. */
const COMMIT_WINDOWS = 32;
const COMMIT_MS = 250;

/** Another driver has the run, or it is over: this one has nothing more to say. */
export class LeaseLost extends Error {}

const bytesOf = (sentences: { text: string }[]): number =>
  sentences.reduce((sum, s) => sum + measure(s.text).bytes, 0);

/** Where a pass over `input` begins. */
export const begun = (scan: ScanState, input: Size) => ({
  scan,
  input,
  round_bytes: 0,
  survivors: { sentences: 0, bytes: 0 },
});

/**
 * A run's state as its driver moves it on, and the commits that make it last. Outcomes of several windows may share a commit; a
 * driver that dies between two loses those windows, and the next scores them again to the same result.
 */
export class Ledger {
  state: RunState;
  private version: number;
  private survivors: Commit['survivors'] = [];
  private windows = 0;
  private kept = 0;
  private evicted = 0;
  private committed = Date.now();
  private readonly session: SessionApi;
  private readonly question: string;
  private readonly input: Size;
  private readonly lease: string;
  private readonly onEvent: (event: StoredEvent) => void;

  constructor(
    session: SessionApi,
    claim: Extract<Claim, { kind: 'claimed' }>,
    state: RunState,
    onEvent: (event: StoredEvent) => void,
  ) {
    this.session = session;
    this.question = claim.question.id;
    this.input = claim.question.input;
    this.lease = claim.lease;
    this.version = claim.version;
    this.state = state;
    this.onEvent = onEvent;
  }

  /** Takes a scored window in; commits when enough has come together. */
  async scored(window: Window, { state, survivors, kept, evicted }: Outcome): Promise<void> {
    const { scan, first, read, round_bytes, survivors: left } = this.state;
    const unread = scan.round === 0 && !first;
    const fresh = window.sentences.slice(window.sentences.length - window.taken);
    const bytes = bytesOf(fresh);
    if (survivors.length > 0) {
      this.survivors.push({ round: scan.round, first: left.sentences, sentences: survivors });
    }
    this.state = {
      ...this.state,
      scan: state,
      read: unread ? { sentences: read.sentences + fresh.length, bytes: read.bytes + bytes } : read,
      round_bytes: round_bytes + bytes,
      survivors: { sentences: left.sentences + survivors.length, bytes: left.bytes + bytesOf(survivors) },
    };
    this.windows += 1;
    this.kept += kept;
    this.evicted += evicted;
    if (this.windows < COMMIT_WINDOWS && Date.now() - this.committed < COMMIT_MS) return;
    await this.commit();
    // A timer is what lets the isolate turn to its sockets: without one the listener hears nothing and other requests wait.
    await new Promise((turn) => setTimeout(turn, 0));
  }

  /** The round or the scan is over. */
  async advance(scan: RunState['scan']): Promise<void> {
    const next = scan.round > this.state.scan.round;
    this.state = { ...this.state, ...(next ? begun(scan, this.state.survivors) : { scan }) };
    await this.commit();
  }

  /** The text is read once more, by `scan` from its start. */
  async again(first: FirstPass, scan: ScanState): Promise<void> {
    const { windows } = this.state.scan;
    this.state = { ...this.state, ...begun({ ...scan, windows }, this.input), first };
    const { found, answer } = first;
    await this.commit([{ type: 'run.again', data: { found: quote(found), confidence: answer.confidence } }]);
  }

  /** The reading that stands at the end. */
  settled({ answer: { relevance }, evidence }: Reading): void {
    const { first, ...state } = this.state;
    this.state = { ...state, scan: { ...state.scan, cache: evidence }, ...(relevance && { relevance }) };
  }

  /** Writes down all that is not yet. */
  async commit(more: NewEvent[] = [], end?: Commit['end']): Promise<void> {
    const events = [...this.progress(), ...more];
    const stored = await this.session.commit({
      question: this.question,
      lease: this.lease,
      version: this.version,
      state: this.state,
      survivors: this.survivors,
      events,
      ...(end && { end }),
    });
    if (stored === null) throw new LeaseLost();
    this.version += 1;
    this.survivors = [];
    this.windows = 0;
    this.kept = 0;
    this.evicted = 0;
    this.committed = Date.now();
    for (const event of stored) this.onEvent(event);
  }

  private progress(): NewEvent[] {
    if (this.windows === 0) return [];
    const { scan, read, input, round_bytes } = this.state;
    const scored: NewEvent = {
      type: 'window.scored',
      data: {
        windows: scan.windows,
        round: scan.round,
        // In a second pass as well the progress of round 0 is what it has read.
        sentences: scan.round === 0 ? scan.cursor : read.sentences,
        bytes: round_bytes,
        total_bytes: input.bytes,
        kept: this.kept,
        evicted: this.evicted,
      },
    };
    // In a tournament the cache is one window's winners, not yet evidence: that is known at the end of the last round.
    if (scan.mode === 'tournament' || this.kept + this.evicted === 0) return [scored];
    return [scored, { type: 'evidence.updated', data: { evidence: evidenceOf(this.state) } }];
  }
}

/** The cache as clients see it, in the order of the documents; once answered, with the relevance of each sentence. */
export const evidenceOf = ({ scan, relevance }: RunState) =>
  scan.cache.map((sentence, i) => ({
    ...quote(sentence),
    ...(relevance && { relevance: relevance[i] }),
  }));

const quote = ({ document, start, end, text }: Sentence) => ({ document, start, end, exact: text });
