/** From an answer model's scores of tokens to a span, its confidence and the relevance of each sentence. */

/** How an answer is read off the scores: fitted after training, on articles kept out of it. */
export interface AnswerSettings {
  /** Longest answer in tokens. */
  max_tokens: number;
  /** Each token of a span beyond `free_tokens` costs it this much: a start and an end chosen apart make spans too long. */
  length_penalty: number;
  free_tokens: number;
  /** What a sentence's standing counts beside the logarithm of its share of the evidence. */
  standing_weight: number;
  /** Confidence is logistic((log odds - bias) / temperature), of the odds that there is evidence at all. */
  bias: number;
  temperature: number;
  /** Answers below this probability count as not found. */
  threshold: number;
  /** Answers below this probability are looked for in a second pass over the text; never when left out. */
  again_below?: number;
}

export type SpanLength = Pick<AnswerSettings, 'max_tokens' | 'length_penalty' | 'free_tokens'>;

/** Logits of every token as the answer's first, as its last, and as a part of the sentence that answers. */
export interface AnswerScores {
  start: Float32Array;
  end: Float32Array;
  evidence: Float32Array;
  /** The logit of "not answered here" beside those of the evidence. */
  none: number;
}

/** Tokens `first` … `last` of the evidence, both included. */
export interface TokenSpan {
  first: number;
  last: number;
}

/** A share of the evidence below this is as good as none, in a logarithm. */
const FLOOR = 1e-4;
/** Probabilities nearer to 0 or 1 are taken for this near: the odds of a certainty are not finite. */
const CERTAIN = 1e-6;

/**
 * The best span of the evidence. Two models have read each sentence: the answer model says what share of the evidence it is, the scan how it
 * stands in a ranking (selection.ts), read again over the evidence alone. They err on different questions; together they are the
 * sentence's probability, and its logarithm counts beside the scores of the spans that begin in it.
 *
 * @param owner the sentence of each token, rising; there is at least one token
 * @param standing one a sentence, larger is better; -Infinity for one that has no token
 * @returns the span, the probability that it answers, and that probability shared out among the sentences
 */
export function readAnswer(
  { start, end, evidence, none }: AnswerScores,
  owner: number[],
  standing: number[],
  settings: AnswerSettings,
): { span: TokenSpan; confidence: number; relevance: number[] } {
  const { nowhere, shares } = sharesOf(evidence, none, owner, standing.length);
  const likely = logSoftmax(
    shares.map((share, i) => Math.log(share + FLOOR) + settings.standing_weight * standing[i]!),
  );
  const favoured = start.map((score, i) => score + likely[owner[i]!]!);
  const span = bestSpan(favoured, end, owner, settings);
  const confidence = 1 / (1 + Math.exp((settings.bias - logOdds(1 - nowhere)) / settings.temperature));
  return { span, confidence, relevance: likely.map((log) => confidence * Math.exp(log)) };
}

/** Softmax over "not answered" and the tokens: the share of each sentence, and of its being nowhere. */
export function sharesOf(
  evidence: Float32Array,
  none: number,
  owner: number[],
  sentences: number,
): { nowhere: number; shares: number[] } {
  const top = evidence.reduce((max, score) => Math.max(max, score), none);
  const shares = new Array<number>(sentences).fill(0);
  let total = Math.exp(none - top);
  evidence.forEach((score, i) => {
    const weight = Math.exp(score - top);
    shares[owner[i]!]! += weight;
    total += weight;
  });
  return { nowhere: Math.exp(none - top) / total, shares: shares.map((weight) => weight / total) };
}

/** The span with the largest start + end score less what its length costs, within one sentence or two neighbours. */
export function bestSpan(
  starts: Float32Array,
  ends: Float32Array,
  owner: number[],
  { max_tokens, length_penalty, free_tokens }: SpanLength,
): TokenSpan {
  let best: TokenSpan = { first: 0, last: 0 };
  let highest = Number.NEGATIVE_INFINITY;
  for (let first = 0; first < owner.length; first++) {
    const stop = Math.min(owner.length, first + max_tokens);
    for (let last = first; last < stop && owner[last]! - owner[first]! <= 1; last++) {
      const cost = length_penalty * Math.max(0, last - first + 1 - free_tokens);
      const score = starts[first]! + ends[last]! - cost;
      if (score <= highest) continue;
      highest = score;
      best = { first, last };
    }
  }
  return best;
}

function logOdds(probability: number): number {
  const p = Math.min(Math.max(probability, CERTAIN), 1 - CERTAIN);
  return Math.log(p / (1 - p));
}

function logSoftmax(scores: number[]): number[] {
  const top = Math.max(...scores);
  const total = Math.log(scores.reduce((sum, score) => sum + Math.exp(score - top), 0));
  return scores.map((score) => score - top - total);
}
