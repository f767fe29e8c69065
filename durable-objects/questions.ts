import type { ScanMode } from '../shared/scan/index.ts';
import type { TokenizedSentence } from '../shared/sentence.ts';
import type {
  Claim,
  Commit,
  EventType,
  QuestionInfo,
  QuestionStatus,
  RunState,
  Size,
  StoredEvent,
} from './types.ts';

/** A driver that has not committed or renewed for so long is taken for dead. */
export const LEASE_MS = 15_000;
/** Groups of survivors in one answer; a group is what one commit left. */
const SURVIVOR_GROUPS = 8;
/** Events of which only the newest is worth keeping: they tell a standing, not a step, and a long text has thousands. */
const SUPERSEDED: EventType[] = ['window.scored', 'evidence.updated'];

interface QuestionRow extends Record<string, SqlStorageValue> {
  id: string;
  question: string;
  mode: ScanMode;
  status: QuestionStatus;
  created: number;
  sentences: number;
  bytes: number;
  version: number;
  state: string | null;
  result: string | null;
  lease: string | null;
  due: number;
  takeovers: number;
  events: number;
}

const info = (row: QuestionRow): QuestionInfo => ({
  id: row.id,
  question: row.question,
  mode: row.mode,
  status: row.status,
  created: row.created,
  input: { sentences: row.sentences, bytes: row.bytes },
  state: row.state === null ? null : JSON.parse(row.state),
  result: row.result === null ? null : JSON.parse(row.result),
});

/**
 * A round reads the survivors of the one before; older ones have served. Before its first window a scan has none: those that are there
 * then are of the first pass.
 */
function oldestRound(state: RunState | null): number {
  if (!state || (state.scan.round === 0 && state.scan.cursor === 0)) return Number.MAX_SAFE_INTEGER;
  return state.scan.round - 1;
}

/** Questions of a session: where each run stands, who drives it, what it has told. */
export class Questions {
  private readonly sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.sql = sql;
  }

  list(): { id: string; mode: ScanMode; status: QuestionStatus }[] {
    return this.sql
      .exec<QuestionRow>('SELECT * FROM question ORDER BY created, id')
      .toArray()
      .map(({ id, mode, status }) => ({ id, mode, status }));
  }

  /** A question reads what the session holds now: `input`. The same key gives the same question. */
  ask(question: string, mode: ScanMode, key: string | null, input: Size, now: number): string {
    const before =
      key === null
        ? null
        : this.sql.exec<QuestionRow>('SELECT * FROM question WHERE key = ?', key).toArray()[0];
    if (before) return before.id;
    const id = crypto.randomUUID();
    this.sql.exec(
      'INSERT INTO question (id, key, question, mode, created, sentences, bytes, due) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
      id,
      key,
      question,
      mode,
      now,
      input.sentences,
      input.bytes,
      now + LEASE_MS,
    );
    return id;
  }

  get(id: string): QuestionInfo | null {
    const row = this.row(id);
    return row ? info(row) : null;
  }

  events(id: string, after: number): { events: StoredEvent[]; status: QuestionStatus } | null {
    const row = this.row(id);
    if (!row) return null;
    const events = this.sql
      .exec<{ id: number; type: EventType; data: string }>(
        'SELECT id, type, data FROM event WHERE question = ? AND id > ? ORDER BY id',
        id,
        after,
      )
      .toArray();
    return { events, status: row.status };
  }

  claim(id: string, now: number): Claim {
    const row = this.row(id);
    if (row?.status !== 'running') return { kind: 'over' };
    if (row.lease !== null && row.due > now) return { kind: 'held' };
    const lease = crypto.randomUUID();
    this.sql.exec('UPDATE question SET lease = ?, due = ? WHERE id = ?', lease, now + LEASE_MS, id);
    return { kind: 'claimed', lease, version: row.version, question: info(row) };
  }

  renew(id: string, lease: string, now: number): boolean {
    return (
      this.sql.exec('UPDATE question SET due = ? WHERE id = ? AND lease = ?', now + LEASE_MS, id, lease)
        .rowsWritten > 0
    );
  }

  /** @param due when the alarm should look after the run, if nobody has claimed it by then */
  release(id: string, lease: string, due: number): boolean {
    return (
      this.sql.exec('UPDATE question SET lease = NULL, due = ? WHERE id = ? AND lease = ?', due, id, lease)
        .rowsWritten > 0
    );
  }

  /** Writes one step of a run whole, or nothing: the caller's lease and version must be the current ones. */
  commit(commit: Commit, now: number): StoredEvent[] | null {
    const row = this.row(commit.question);
    if (row?.status !== 'running' || row.lease !== commit.lease || row.version !== commit.version)
      return null;
    for (const { round, first, sentences } of commit.survivors) {
      this.sql.exec(
        'INSERT INTO survivor (question, round, first, sentences) VALUES (?, ?, ?, ?)',
        row.id,
        round,
        first,
        JSON.stringify(sentences),
      );
    }
    const oldest = commit.end ? Number.MAX_SAFE_INTEGER : oldestRound(commit.state);
    this.sql.exec('DELETE FROM survivor WHERE question = ? AND round < ?', row.id, oldest);
    const events = this.record(row.id, row.events, commit.events);
    this.sql.exec(
      'UPDATE question SET version = version + 1, state = ?, status = ?, result = ?, lease = ?, due = ?, takeovers = 0, events = ? WHERE id = ?',
      commit.state && JSON.stringify(commit.state),
      commit.end?.status ?? 'running',
      commit.end ? JSON.stringify(commit.end.result) : null,
      commit.end ? null : commit.lease,
      now + LEASE_MS,
      row.events + events.length,
      row.id,
    );
    return events;
  }

  survivors(id: string, round: number, from: number): TokenizedSentence[] {
    const rows = this.sql
      .exec<{ first: number; sentences: string }>(
        `SELECT first, sentences FROM survivor WHERE question = ?1 AND round = ?2 AND first >=
         (SELECT coalesce(max(first), 0) FROM survivor WHERE question = ?1 AND round = ?2 AND first <= ?3)
         ORDER BY first LIMIT ${SURVIVOR_GROUPS}`,
        id,
        round,
        from,
      )
      .toArray();
    const sentences = rows.flatMap((row) => JSON.parse(row.sentences) as TokenizedSentence[]);
    return rows[0] ? sentences.slice(from - rows[0].first) : [];
  }

  /** Runs that nobody drives any more. Each is due again later, should whoever is told of it die as well. */
  takeOrphans(now: number): { id: string; takeovers: number }[] {
    const rows = this.sql
      .exec<QuestionRow>("SELECT * FROM question WHERE status = 'running' AND due <= ?", now)
      .toArray();
    for (const { id } of rows) {
      this.sql.exec(
        'UPDATE question SET lease = NULL, due = ?, takeovers = takeovers + 1 WHERE id = ?',
        now + LEASE_MS,
        id,
      );
    }
    return rows.map(({ id, takeovers }) => ({ id, takeovers: takeovers + 1 }));
  }

  /** Ends a run that no driver can bring forward. */
  fail(id: string, problem: object): void {
    const row = this.row(id)!;
    const events = this.record(id, row.events, [{ type: 'run.failed', data: problem }]);
    this.sql.exec(
      "UPDATE question SET status = 'failed', result = ?, lease = NULL, version = version + 1, events = ? WHERE id = ?",
      JSON.stringify(problem),
      row.events + events.length,
      id,
    );
  }

  /** When the next running question falls due. */
  nextDue(): number | null {
    return this.sql
      .exec<{ t: number | null }>("SELECT min(due) AS t FROM question WHERE status = 'running'")
      .one().t;
  }

  private record(id: string, before: number, events: Commit['events']): StoredEvent[] {
    return events.map(({ type, data }, i) => {
      if (SUPERSEDED.includes(type))
        this.sql.exec('DELETE FROM event WHERE question = ? AND type = ?', id, type);
      const event = { id: before + i + 1, type, data: JSON.stringify(data) };
      this.sql.exec(
        'INSERT INTO event (question, id, type, data) VALUES (?, ?, ?, ?)',
        id,
        event.id,
        event.type,
        event.data,
      );
      return event;
    });
  }

  private row(id: string): QuestionRow | null {
    return this.sql.exec<QuestionRow>('SELECT * FROM question WHERE id = ?', id).toArray()[0] ?? null;
  }
}
