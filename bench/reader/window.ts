import type { AttentionBackend } from '../../shared/attention.ts';
import type { TokenizedSentence } from '../../shared/sentence.ts';
import { exactly, f1, mean, percent } from './judge.ts';
import type { Tested } from './reader.ts';
import { reranked } from './rerank.ts';
import { goldOf, type QaRow, sentencesOf, spread } from './rows.ts';
import { byWords, closed, counted, ranked, within } from './scan.ts';

/** Tokens of a window of passages. */
const PASSAGES = 850;

/** A passage among others in one window: is the sentence that answers the first, is the answer right? */
export async function oneWindow(
  { reader, threshold }: Tested,
  rows: QaRow[],
  questions: number,
): Promise<void> {
  const { settings } = await reader.describe();
  const asked = spread(
    rows.filter((row) => row.answers.length > 0 && row.answer_start !== null),
    questions,
  );
  const contexts = [...new Set(asked.map((row) => row.context))];
  const places = new Map<string, number[]>();
  const answers: { found: boolean; f1: number; exact: boolean; cited: boolean }[] = [];
  for (const [i, row] of asked.entries()) {
    const { sentences, gold } = await windowOf(reader, contexts, row, i);
    if (gold === undefined) continue;
    const { product, attention, counts } = await ranked(reader, settings, row.question, sentences);
    const kept = within(product, sentences, settings.evidence_tokens);
    const answer = await reader.answer({
      question: row.question,
      counts,
      evidence: kept.map((k) => sentences[k]!.text),
    });
    const orders: [string, number[]][] = [
      ['by relevance, once answered', reranked(product, kept, answer.relevance!)],
      ['by attention and words (the scan)', product],
      ['attention alone', attention],
      ['BM25', byWords(row.question, sentences)],
    ];
    for (const [name, order] of orders) {
      if (!places.has(name)) places.set(name, []);
      places.get(name)!.push(order.indexOf(gold));
    }
    answers.push({
      found: answer.confidence >= threshold,
      f1: f1(answer.text, row.answers),
      exact: exactly(answer.text, row.answers),
      cited: answer.spans.some((span) => kept[span.sentence] === gold),
    });
  }
  console.log(`one window, ${answers.length} questions:`);
  const hits = (at: number[], k: number) => percent(mean(at.map((place) => place >= 0 && place < k)));
  for (const [name, at] of places)
    console.log(`  ${name.padEnd(34)} hit@1 ${hits(at, 1)}  hit@3 ${hits(at, 3)}`);
  const figures = (name: string, counts: (answer: (typeof answers)[number]) => boolean) => {
    const share = (of: (answer: (typeof answers)[number]) => number | boolean) =>
      percent(mean(answers.map((answer) => (counts(answer) ? of(answer) : 0))));
    console.log(
      `  ${name.padEnd(34)} F1 ${share((a) => a.f1)}  exact ${share((a) => a.exact)}  cites the sentence ${share((a) => a.cited)}`,
    );
  };
  const refused = answers.filter((answer) => !answer.found).length;
  figures(`answered from ${settings.cache_tokens} tokens`, (answer) => answer.found);
  figures(`with the ${refused} refused as well`, () => true);
}

/** The row's passage with others around it, as many as a window takes. */
export async function windowOf(
  backend: AttentionBackend,
  contexts: string[],
  row: QaRow,
  turn: number,
): Promise<{ sentences: TokenizedSentence[]; gold: number | undefined }> {
  const own = closed(sentencesOf(row.context));
  const blocks = [own];
  let size = (await counted(backend, own)).reduce((sum, s) => sum + s.tokens, 0);
  const at = contexts.indexOf(row.context);
  for (let k = 1; k <= 12; k++) {
    const block = closed(sentencesOf(contexts[(at + k * 97) % contexts.length]!));
    const tokens = (await counted(backend, block)).reduce((sum, s) => sum + s.tokens, 0);
    if (size + tokens > PASSAGES) continue;
    blocks.push(block);
    size += tokens;
  }
  // The passage stands at another place in each window.
  const shift = turn % blocks.length;
  const ordered = [...blocks.slice(shift), ...blocks.slice(0, shift)];
  const before = ordered.slice(0, ordered.indexOf(own)).flat().length;
  const [gold] = goldOf(own, row);
  return {
    sentences: await counted(backend, ordered.flat()),
    gold: gold === undefined ? gold : before + gold,
  };
}
