import type { AttentionBackend, ScanSettings } from '../../shared/attention.ts';
import { type LexicalCounts, lexicalCounts, neighbourhood, scoreLexically } from '../../shared/lexical.ts';
import { type Placed, type ScanMode, scans } from '../../shared/scan/index.ts';
import { sought } from '../../shared/scan/second.ts';
import { keepWithin, rankSentences } from '../../shared/selection.ts';
import type { TokenizedSentence } from '../../shared/sentence.ts';
import { bm25 } from './bm25.ts';
import type { Piece } from './rows.ts';

/** Sentences with their tokens; `start` is the place in the list, so that a kept one can be told. */
export async function counted(
  backend: AttentionBackend,
  sentences: { text: string }[],
): Promise<TokenizedSentence[]> {
  const counts = await backend.countTokens(sentences.map((s) => s.text));
  return sentences.map(({ text }, i) => ({ document: 'd', start: i, end: i + 1, text, tokens: counts[i]! }));
}

/** Places by BM25 alone over the whole text, best first: what a lexical index would give. */
export function byWords(question: string, sentences: { text: string }[]): number[] {
  const scores = bm25(
    question,
    sentences.map((s) => s.text),
  );
  return sentences.map((_, i) => i).sort((a, b) => scores[b]! - scores[a]! || a - b);
}

export const within = (order: number[], sentences: TokenizedSentence[], budget: number): number[] =>
  keepWithin(
    order.map((index) => ({ index, score: 0 })),
    sentences,
    budget,
  );

/** One window: places best first, as the product ranks them and by attention alone. */
export async function ranked(
  backend: AttentionBackend,
  settings: ScanSettings,
  question: string,
  sentences: TokenizedSentence[],
): Promise<{ product: number[]; attention: number[]; counts: LexicalCounts }> {
  const texts = sentences.map((s) => s.text);
  const { windows } = await backend.score({ question, windows: [{ sentences: texts }] });
  const asked = lexicalCounts(question);
  const near = neighbourhood(asked.terms, sentences);
  const { scores, counts } = scoreLexically(
    asked,
    texts.map((text, i) => ({ text, near: near[i]! })),
    texts.length,
  );
  const order = (lexical_weight: number, words: number[]) =>
    rankSentences(windows[0]!, { ...settings, lexical_weight }, words).map((r) => r.index);
  return {
    product: order(settings.lexical_weight, scores),
    attention: order(
      0,
      scores.map(() => 0),
    ),
    counts,
  };
}

/**
 * A whole scan in memory: the evidence, and what of it the cache holds.
 *
 * @param found the sentence that stands behind the question in a second pass
 */
export async function scanned(
  backend: AttentionBackend,
  settings: ScanSettings,
  mode: ScanMode,
  question: string,
  sentences: TokenizedSentence[],
  found?: string,
): Promise<{ evidence: Placed[]; cache: TokenizedSentence[]; counts: LexicalCounts }> {
  const scan = scans[mode];
  const asked = { question, ...(found !== undefined && { found }) };
  let state = scan.start(settings, sought(question, found));
  let input = sentences;
  let survivors: TokenizedSentence[] = [];
  let cache: TokenizedSentence[] = [];
  while (!state.done) {
    const plan = scan.plan(state, input.slice(state.cursor, state.cursor + 2000), true);
    if (plan.kind === 'advance') {
      state = plan.state;
      input = survivors;
      survivors = [];
    } else if (plan.kind === 'window') {
      const texts = plan.window.sentences.map((s) => s.text);
      const { windows } = await backend.score({ ...asked, windows: [{ sentences: texts }] });
      const outcome = scan.absorb(state, plan.window, windows[0]!);
      state = outcome.state;
      survivors.push(...outcome.survivors);
      cache = mode === 'sequential' ? state.cache : outcome.survivors;
    }
  }
  return { evidence: state.cache, cache, counts: state.lexical! };
}

/** Every sentence ends in white space, as it would where its text goes on. */
export const closed = (sentences: Piece[]): Piece[] =>
  sentences.map((s) => (/\s$/.test(s.text) ? s : { ...s, text: `${s.text}\n` }));
