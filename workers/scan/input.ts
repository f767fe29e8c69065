import { cutSentences } from '../../durable-objects/blocks.ts';
import type { RunState, SessionApi } from '../../durable-objects/types.ts';
import type { AttentionBackend } from '../../shared/attention.ts';
import type { Sentence, TokenizedSentence } from '../../shared/sentence.ts';

/** Sentences counted by the backend at a time: a window or so, so that the first one does not wait for a whole block. */
const COUNT_AT_ONCE = 64;

/**
 * The input of one round from a cursor on, read ahead only as far as a window needs: one block of text at most is in memory. Round 0
 * reads the documents, a later one the survivors of the round before.
 */
export class RoundInput {
  /** What has been read and not yet taken. */
  ahead: TokenizedSentence[] = [];
  private uncounted: Sentence[] = [];
  private next: number;
  private readonly session: SessionApi;
  private readonly backend: AttentionBackend;
  private readonly question: string;
  private readonly round: number;
  private readonly total: number;

  constructor(session: SessionApi, backend: AttentionBackend, question: string, state: RunState) {
    this.session = session;
    this.backend = backend;
    this.question = question;
    this.round = state.scan.round;
    this.next = state.scan.cursor;
    this.total = state.input.sentences;
  }

  /** Whether `ahead` reaches the end of the round's input. */
  get complete(): boolean {
    return this.uncounted.length === 0 && this.next >= this.total;
  }

  async more(): Promise<void> {
    if (this.round > 0) {
      const survivors = await this.session.survivors(this.question, this.round - 1, this.next);
      this.next += this.expect(survivors.length);
      this.ahead.push(...survivors);
      return;
    }
    if (this.uncounted.length === 0) {
      const run = await this.session.readSentences(this.next);
      // Documents that came after the question was asked are not its input.
      const sentences = run ? cutSentences(run).slice(0, this.total - this.next) : [];
      this.next += this.expect(sentences.length);
      this.uncounted = sentences;
    }
    const batch = this.uncounted.splice(0, COUNT_AT_ONCE);
    const counts = await this.backend.countTokens(batch.map((s) => s.text));
    for (const [i, sentence] of batch.entries()) this.ahead.push({ ...sentence, tokens: counts[i]! });
  }

  take(count: number): void {
    this.ahead.splice(0, count);
  }

  private expect(count: number): number {
    if (count === 0) throw new Error('the input of the round ends before its size says');
    return count;
  }
}
