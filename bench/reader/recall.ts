import type { Answerer, AttentionBackend } from '../../shared/attention.ts';
import type { ScanMode } from '../../shared/scan/index.ts';
import type { TokenizedSentence } from '../../shared/sentence.ts';
import { mean, percent } from './judge.ts';
import { answeredFrom } from './rerank.ts';
import { goldOf, type LongRow, type Piece, type QaRow, sentencesOf, spread, touched } from './rows.ts';
import { byWords, closed, counted, scanned, within } from './scan.ts';

/** Tokens of evidence that long texts are judged by. */
const BUDGET = 300;

/** All passages as one text: is the sentence that answers within the evidence? */
export async function oneText(
  backend: AttentionBackend & Answerer,
  rows: QaRow[],
  questions: number,
  modes: ScanMode[],
): Promise<void> {
  const contexts = [...new Set(rows.map((row) => row.context))];
  const sentences: Piece[] = [];
  const first = new Map<string, { at: number; own: Piece[] }>();
  for (const context of contexts) {
    const own = closed(sentencesOf(context));
    first.set(context, { at: sentences.length, own });
    sentences.push(...own);
  }
  const text = await counted(backend, sentences);
  const asked = spread(
    rows.filter((row) => row.answer_start !== null && row.answers.length > 0),
    questions,
  ).map((row) => {
    const { at, own } = first.get(row.context)!;
    return { question: row.question, gold: goldOf(own, row).map((g) => at + g) };
  });
  const tokens = text.reduce((sum, s) => sum + s.tokens, 0);
  await recall(
    backend,
    `one text of ${tokens} tokens`,
    asked.map((one) => ({ ...one, text })),
    modes,
  );
}

/** Long documents: how much of the evidence is kept? */
export async function longDocuments(
  backend: AttentionBackend & Answerer,
  rows: LongRow[],
  questions: number,
  modes: ScanMode[],
): Promise<void> {
  const asked = rows.flatMap((row) => {
    const sentences = sentencesOf(row.document);
    return row.questions.map((q) => ({
      question: q.short_question ?? q.question,
      sentences,
      gold: touched(sentences, q.evidence ?? verbatim(row.document, q.answers)),
    }));
  });
  const chosen = spread(
    asked.filter((one) => one.gold.length > 0),
    questions,
  );
  const known = new Map<Piece[], TokenizedSentence[]>();
  for (const { sentences } of chosen) {
    if (!known.has(sentences)) known.set(sentences, await counted(backend, sentences));
  }
  await recall(
    backend,
    'long documents',
    chosen.map(({ question, gold, sentences }) => ({ question, gold, text: known.get(sentences)! })),
    modes,
  );
}

/** Where the answers stand word for word. */
function verbatim(document: string, answers: string[]): [number, number][] {
  return answers.flatMap((answer): [number, number][] => {
    const pattern = answer.trim().split(/\s+/).map(escaped).join('\\s+');
    const found = pattern === '' ? null : new RegExp(pattern).exec(document);
    if (!found) return [];
    const start = [...document.slice(0, found.index)].length;
    return [[start, start + [...found[0]].length]];
  });
}

const escaped = (word: string): string => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

async function recall(
  backend: AttentionBackend & Answerer,
  name: string,
  asked: { question: string; gold: number[]; text: TokenizedSentence[] }[],
  modes: ScanMode[],
): Promise<void> {
  const { settings } = await backend.describe();
  console.log(`${name}, ${asked.length} questions, ${BUDGET} tokens:`);
  const tally = new Map<string, { hits: boolean[]; shares: number[] }>();
  for (const { question, gold, text } of asked) {
    const size = (places: number[]) => places.reduce((sum, at) => sum + text[at]!.tokens, 0);
    const count = (way: string, places: number[]) => {
      if (!tally.has(way)) tally.set(way, { hits: [], shares: [] });
      const kept = new Set(places);
      tally.get(way)!.hits.push(gold.some((at) => kept.has(at)));
      tally.get(way)!.shares.push(size(gold.filter((at) => kept.has(at))) / Math.min(BUDGET, size(gold)));
    };
    count('BM25', within(byWords(question, text), text, BUDGET));
    for (const mode of modes) {
      const { evidence, cache, counts } = await scanned(backend, settings, mode, question, text);
      const places = evidence.map((s) => s.start);
      const { relevance } = await backend.answer({
        question,
        counts,
        evidence: evidence.map((s) => s.text),
      });
      count(`${mode}, answered from`, answeredFrom(places, relevance!));
      count(
        `${mode}, in the cache`,
        cache.map((s) => s.start),
      );
      count(`${mode}, all the evidence (${settings.evidence_tokens})`, places);
    }
  }
  for (const [way, { hits, shares }] of tally)
    console.log(
      `  ${way.padEnd(36)} a sentence of the evidence kept ${percent(mean(hits))}  share of the evidence ${percent(mean(shares))}`,
    );
}
