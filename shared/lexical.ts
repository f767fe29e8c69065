import { stem } from './stem.ts';

/** What a text read so far says of the question's own words: all that BM25 needs, in the space of the question. */
export interface LexicalCounts {
  /** The question's words, each once. */
  terms: string[];
  /** Sentences so far that hold each of them. */
  holding: number[];
  sentences: number;
  words: number;
}

/** A sentence as far as words go. */
export interface Worded {
  text: string;
  /** See `neighbourhood`. */
  near?: string;
}

// Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), section 3.5. A sentence's length says less than a
// document's: on training articles a weaker norm than the usual (1.2, 0.75) puts more of the right sentences first.
const K1 = 1;
const B = 0.5;
/** What a word of the sentence next door counts; one further away, less by its distance. */
const NEAR = 0.5;
/** Sentences beyond this many are no neighbours. */
const REACH = 3;

export const lexicalCounts = (question: string): LexicalCounts => {
  const terms = [...new Set(wordsOf(question).map(stem))];
  return { terms, holding: terms.map(() => 0), sentences: 0, words: 0 };
};

/**
 * How far from each sentence the nearest one stands that holds each of the question's words: a digit a word, 0 where it stands in the
 * sentence itself or in none within reach. Text goes on: a sentence often answers about what the one before it has named.
 *
 * @param sentences that follow each other; those of another document are no neighbours
 */
export function neighbourhood(terms: string[], sentences: { text: string; document: string }[]): string[] {
  const place = new Map(terms.map((term, i) => [term, i]));
  const holds = sentences.map(({ text }) => new Set(occurrences(text, place).times.keys()));
  const beside = (at: number, other: number, term: number) =>
    sentences[other]?.document === sentences[at]!.document && holds[other]!.has(term);
  return holds.map((own, at) =>
    terms
      .map((_, term) => {
        if (own.has(term)) return 0;
        for (let d = 1; d <= REACH; d++) if (beside(at, at - d, term) || beside(at, at + d, term)) return d;
        return 0;
      })
      .join(''),
  );
}

/**
 * Takes new sentences into the counts, then scores all of them by BM25 with the counts so far, and a share of it for words of their
 * neighbours. Rare words are known to be rare only once enough has been read, so sentences kept from before are scored again beside the
 * new ones.
 *
 * @param sentences of a window in their order, those counted before in front
 * @param fresh how many at the end are new
 * @returns the new counts, and one score a sentence, 0 where it shares no word with the question
 */
export function scoreLexically(
  counts: LexicalCounts,
  sentences: Worded[],
  fresh: number,
): { counts: LexicalCounts; scores: number[] } {
  const place = new Map(counts.terms.map((term, i) => [term, i]));
  const read = sentences.map(({ text }) => occurrences(text, place));
  const holding = [...counts.holding];
  let { words } = counts;
  for (const { times, length } of read.slice(sentences.length - fresh)) {
    words += length;
    for (const term of times.keys()) holding[term]! += 1;
  }
  const total = counts.sentences + fresh;
  const rarity = holding.map((n) => Math.log(1 + (total - n + 0.5) / (n + 0.5)));
  const mean = words / Math.max(1, total);
  const scores = read.map(({ times, length }, i) => {
    const norm = K1 * (1 - B + B * (length / Math.max(1, mean)));
    let score = 0;
    for (const [term, n] of times) score += (rarity[term]! * n * (K1 + 1)) / (n + norm);
    [...(sentences[i]!.near ?? '')].forEach((distance, term) => {
      if (distance !== '0') score += (NEAR * rarity[term]!) / Number(distance);
    });
    return score;
  });
  return { counts: { ...counts, holding, sentences: total, words }, scores };
}

function occurrences(
  text: string,
  place: Map<string, number>,
): { times: Map<number, number>; length: number } {
  const words = wordsOf(text).map(stem);
  const times = new Map<number, number>();
  for (const word of words) {
    const term = place.get(word);
    if (term !== undefined) times.set(term, (times.get(term) ?? 0) + 1);
  }
  return { times, length: words.length };
}

const RUN = /[\p{L}\p{N}]+/gu;
const UNSPACED = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}]/u;

/** Runs of letters and digits in lower case; writing without spaces between words is taken in pairs of characters. */
export function wordsOf(text: string): string[] {
  const runs = text.toLowerCase().match(RUN) ?? [];
  return UNSPACED.test(text) ? runs.flatMap((run) => (UNSPACED.test(run) ? pairsOf(run) : run)) : runs;
}

function pairsOf(run: string): string[] {
  const characters = [...run];
  if (characters.length === 1) return characters;
  return characters.slice(1).map((character, i) => characters[i]! + character);
}
