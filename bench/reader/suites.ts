import type { Answerer, AttentionBackend } from '../../shared/attention.ts';
import type { ScanMode } from '../../shared/scan/index.ts';
import type { TokenizedSentence } from '../../shared/sentence.ts';
import { auroc, exactly, f1, mean } from './judge.ts';
import { type LongRow, type Piece, type QaRow, sentencesOf, spread, touched } from './rows.ts';
import { byWords, closed, counted, ranked, scanned, within } from './scan.ts';

export type Reader = AttentionBackend & Answerer;

const MODES: ScanMode[] = ['sequential', 'tournament'];
/** Tokens of evidence that long texts are judged by. */
const BUDGET = 300;
/** Tokens of a window of passages. */
const PASSAGES = 850;

const percent = (share: number): string => share.toFixed(3);

/** A passage among others in one window: is the sentence that answers the first, is the answer right? */
export async function oneWindow(reader: Reader, rows: QaRow[], questions: number): Promise<void> {
  const { settings } = await reader.describe();
  const asked = spread(
    rows.filter((row) => row.answers.length > 0 && row.answer_start !== null),
    questions,
  );
  const contexts = [...new Set(asked.map((row) => row.context))];
  const places = { product: [] as number[], attention: [] as number[], words: [] as number[] };
  const [cited, overlaps, exact]: [boolean[], number[], boolean[]] = [[], [], []];
  for (const [i, row] of asked.entries()) {
    const { sentences, gold } = await windowOf(reader, contexts, row, i);
    if (gold === undefined) continue;
    const orders = {
      ...(await ranked(reader, settings, row.question, sentences)),
      words: byWords(row.question, sentences),
    };
    for (const [name, order] of Object.entries(orders))
      places[name as keyof typeof places].push(order.indexOf(gold));
    const kept = within(orders.product, sentences, settings.cache_tokens);
    const answer = await reader.answer({
      question: row.question,
      evidence: kept.map((k) => sentences[k]!.text),
    });
    cited.push(answer.spans.some((span) => kept[span.sentence] === gold));
    overlaps.push(f1(answer.text, row.answers));
    exact.push(exactly(answer.text, row.answers));
  }
  const hits = (at: number[], k: number) => percent(mean(at.map((place) => place >= 0 && place < k)));
  console.log(`one window, ${overlaps.length} questions:`);
  for (const [name, at] of [
    ['attention and words (the product)', places.product],
    ['attention alone', places.attention],
    ['BM25', places.words],
  ] as const) {
    console.log(`  ${name.padEnd(34)} hit@1 ${hits(at, 1)}  hit@3 ${hits(at, 3)}`);
  }
  console.log(
    `  answered from ${settings.cache_tokens} tokens: F1 ${percent(mean(overlaps))}  exact ${percent(mean(exact))}  cites the sentence ${percent(mean(cited))}`,
  );
}

/** The row's passage with others around it, as many as a window takes. */
async function windowOf(
  reader: Reader,
  contexts: string[],
  row: QaRow,
  turn: number,
): Promise<{ sentences: TokenizedSentence[]; gold: number | undefined }> {
  const own = closed(sentencesOf(row.context));
  const blocks = [own];
  let size = (await counted(reader, own)).reduce((sum, s) => sum + s.tokens, 0);
  const at = contexts.indexOf(row.context);
  for (let k = 1; k <= 12; k++) {
    const block = closed(sentencesOf(contexts[(at + k * 97) % contexts.length]!));
    const tokens = (await counted(reader, block)).reduce((sum, s) => sum + s.tokens, 0);
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
    sentences: await counted(reader, ordered.flat()),
    gold: gold === undefined ? gold : before + gold,
  };
}

const goldOf = (sentences: Piece[], { answer_start }: QaRow): number[] =>
  answer_start === null ? [] : touched(sentences, [[answer_start, answer_start + 1]]);

/** Does the confidence tell passages that answer from passages that do not? */
export async function unanswerable(reader: Reader, rows: QaRow[], questions: number): Promise<void> {
  const { settings } = await reader.describe();
  const confidences = { yes: [] as number[], no: [] as number[] };
  for (const row of spread(rows, questions)) {
    const sentences = await counted(reader, closed(sentencesOf(row.context)));
    const { product } = await ranked(reader, settings, row.question, sentences);
    const evidence = within(product, sentences, settings.cache_tokens).map((k) => sentences[k]!.text);
    const { confidence } = await reader.answer({ question: row.question, evidence });
    confidences[row.answers.length > 0 ? 'yes' : 'no'].push(confidence);
  }
  const { yes, no } = confidences;
  console.log(
    `answerable or not, one passage, ${yes.length} and ${no.length} questions: AUROC of the confidence ${percent(auroc(yes, no))}`,
  );
}

/** All passages as one text: is the sentence that answers within the evidence? */
export async function oneText(reader: Reader, rows: QaRow[], questions: number): Promise<void> {
  const contexts = [...new Set(rows.map((row) => row.context))];
  const sentences: Piece[] = [];
  const first = new Map<string, { at: number; own: Piece[] }>();
  for (const context of contexts) {
    const own = closed(sentencesOf(context));
    first.set(context, { at: sentences.length, own });
    sentences.push(...own);
  }
  const text = await counted(reader, sentences);
  const asked = spread(
    rows.filter((row) => row.answer_start !== null && row.answers.length > 0),
    questions,
  ).map((row) => {
    const { at, own } = first.get(row.context)!;
    return { question: row.question, gold: goldOf(own, row).map((g) => at + g) };
  });
  const tokens = text.reduce((sum, s) => sum + s.tokens, 0);
  await recall(
    reader,
    `one text of ${tokens} tokens`,
    asked.map((one) => ({ ...one, text })),
  );
}

/** Long documents: how much of the evidence is kept? */
export async function longDocuments(reader: Reader, rows: LongRow[], questions: number): Promise<void> {
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
    if (!known.has(sentences)) known.set(sentences, await counted(reader, sentences));
  }
  await recall(
    reader,
    'long documents',
    chosen.map(({ question, gold, sentences }) => ({ question, gold, text: known.get(sentences)! })),
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
  reader: Reader,
  name: string,
  asked: { question: string; gold: number[]; text: TokenizedSentence[] }[],
): Promise<void> {
  const { settings } = await reader.describe();
  const judged = { ...settings, cache_tokens: BUDGET };
  console.log(`${name}, ${asked.length} questions, ${BUDGET} tokens of evidence:`);
  const ways: [string, (one: (typeof asked)[number]) => Promise<number[]>][] = [
    ['BM25', async ({ question, text }) => within(byWords(question, text), text, BUDGET)],
    ...MODES.map((mode): (typeof ways)[number] => [
      mode,
      ({ question, text }) => scanned(reader, judged, mode, question, text),
    ]),
  ];
  for (const [way, keep] of ways) {
    const hits: boolean[] = [];
    const shares: number[] = [];
    for (const one of asked) {
      const kept = new Set(await keep(one));
      const size = (places: number[]) => places.reduce((sum, at) => sum + one.text[at]!.tokens, 0);
      hits.push(one.gold.some((at) => kept.has(at)));
      shares.push(size(one.gold.filter((at) => kept.has(at))) / Math.min(BUDGET, size(one.gold)));
    }
    console.log(
      `  ${way.padEnd(12)} a sentence of the evidence kept ${percent(mean(hits))}  share of the evidence ${percent(mean(shares))}`,
    );
  }
}
