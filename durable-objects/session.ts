import { DurableObject } from 'cloudflare:workers';
import type { ScanMode } from '../shared/scan/index.ts';
import { nextAlarm, SESSION_MS, UPLOAD_MS } from './alarm.ts';
import { Documents } from './documents.ts';
import { LEASE_MS, Questions } from './questions.ts';
import { schema } from './schema.ts';
import type { Block, Claim, Commit, RunMessage, SessionApi, SessionInfo } from './types.ts';

/** Takeovers without one commit between them before a run is given up. */
const MAX_TAKEOVERS = 10;
/** Use is written down at most so often. */
const TOUCH_MS = 60_000;

interface SessionEnv {
  RUNS: Queue<RunMessage>;
}

/**
 * One session: storage and RPC. Every method runs without an await between its writes, so each is atomic; a reply leaves only after
 * its writes are durable. Absent (never created, deleted or expired) sessions have no tables and store nothing.
 */
export class Session extends DurableObject<SessionEnv> implements SessionApi {
  private readonly sql: SqlStorage;
  private readonly documents: Documents;
  private readonly questions: Questions;

  constructor(ctx: DurableObjectState, env: SessionEnv) {
    super(ctx, env);
    this.sql = ctx.storage.sql;
    this.documents = new Documents(this.sql);
    this.questions = new Questions(this.sql);
  }

  async create(id: string): Promise<SessionInfo> {
    if (!this.exists()) {
      const now = Date.now();
      this.sql.exec(schema);
      this.sql.exec('INSERT INTO session (id, created, used) VALUES (?, ?, ?)', id, now, now);
      await this.schedule();
    }
    return this.info();
  }

  async describe(): Promise<SessionInfo | null> {
    if (!this.exists()) return null;
    this.touch();
    return this.info();
  }

  async destroy(): Promise<void> {
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
  }

  async open({ name, key }: { name: string; key: string | null }) {
    const opened = this.documents.open(name, key, Date.now());
    await this.schedule();
    return opened;
  }

  async append(document: string, upload: string, number: number, block: Block): Promise<boolean> {
    if (!this.exists()) return false;
    this.touch();
    return this.documents.append(document, upload, number, block, Date.now());
  }

  async finish(document: string, upload: string) {
    return this.exists() ? this.documents.finish(document, upload) : null;
  }

  async drop(document: string, upload: string): Promise<void> {
    if (this.exists()) this.documents.drop(document, upload);
  }

  async document(id: string) {
    return this.exists() ? this.documents.get(id) : null;
  }

  async readText(document: string, start: number, end: number) {
    return this.exists() ? this.documents.readText(document, start, end) : null;
  }

  async readSentences(cursor: number) {
    return this.exists() ? this.documents.readSentences(cursor) : null;
  }

  /** @returns the question's id, or null when there is nothing to read yet */
  async ask({ question, mode, key }: { question: string; mode: ScanMode; key: string | null }) {
    const input = this.documents.size();
    if (input.sentences === 0) return null;
    const id = this.questions.ask(question, mode, key, input, Date.now());
    await this.schedule();
    return id;
  }

  async question(id: string) {
    return this.exists() ? this.questions.get(id) : null;
  }

  async events(question: string, after: number) {
    return this.exists() ? this.questions.events(question, after) : null;
  }

  async claim(question: string): Promise<Claim> {
    if (!this.exists()) return { kind: 'over' };
    const claim = this.questions.claim(question, Date.now());
    if (claim.kind === 'claimed') await this.schedule();
    return claim;
  }

  async renew(question: string, lease: string): Promise<boolean> {
    return this.exists() && this.questions.renew(question, lease, Date.now());
  }

  async handOver(question: string, lease: string): Promise<void> {
    if (!this.exists() || !this.questions.release(question, lease, Date.now() + LEASE_MS)) return;
    await this.env.RUNS.send({ session: this.row().id, question });
  }

  async rest(question: string, lease: string, milliseconds: number): Promise<void> {
    if (this.exists()) this.questions.release(question, lease, Date.now() + milliseconds + LEASE_MS);
  }

  async commit(commit: Commit) {
    if (!this.exists()) return null;
    this.touch();
    return this.questions.commit(commit, Date.now());
  }

  async survivors(question: string, round: number, from: number) {
    return this.exists() ? this.questions.survivors(question, round, from) : [];
  }

  /** Expiry, dropped uploads and orphaned runs: whatever is due by now. */
  override async alarm(): Promise<void> {
    if (!this.exists()) return;
    const now = Date.now();
    if (this.row().used + SESSION_MS <= now) return this.destroy();
    this.documents.dropStale(now - UPLOAD_MS);
    for (const { id, takeovers } of this.questions.takeOrphans(now)) {
      if (takeovers > MAX_TAKEOVERS) this.questions.fail(id, stalled);
      else await this.env.RUNS.send({ session: this.row().id, question: id });
    }
    await this.schedule();
  }

  private async schedule(): Promise<void> {
    const at = nextAlarm({
      used: this.row().used,
      oldestOpen: this.documents.oldestOpen(),
      nextDue: this.questions.nextDue(),
    });
    // Renewals move deadlines back without touching the alarm; it then finds nothing due and sets itself anew.
    await this.ctx.storage.setAlarm(Math.max(at, Date.now() + LEASE_MS / 15));
  }

  /** A run or an upload that takes days is use as well. */
  private touch(): void {
    const now = Date.now();
    if (now - this.row().used > TOUCH_MS) this.sql.exec('UPDATE session SET used = ?', now);
  }

  private exists(): boolean {
    return (
      this.sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'session'").toArray()
        .length > 0
    );
  }

  private row(): { id: string; created: number; used: number } {
    return this.sql.exec<{ id: string; created: number; used: number }>('SELECT * FROM session').one();
  }

  private info(): SessionInfo {
    const { id, created, used } = this.row();
    const documents = this.documents.list();
    return { id, created, expires: used + SESSION_MS, documents, questions: this.questions.list() };
  }
}

const stalled = {
  type: 'urn:sluice:problem:run-stalled',
  title: 'The run made no progress',
  status: 500,
  detail: 'The scan was taken up again several times and ended each time before its first step was stored.',
  hint: 'Ask the question again; if it happens again, look at the log of the Worker.',
};
