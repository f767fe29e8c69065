/** From a reader's scores of the evidence's tokens to a span, its confidence and the relevance of each sentence. */

/** How an answer is read off the scores: fitted after training, on articles kept out of it. */
export interface AnswerSettings {
  /** Longest answer in tokens. */
  max_tokens: number;
  /** Each token of a span beyond `free_tokens` costs it this much: a start and an end chosen apart make spans too long. */
  length_penalty: number;
  free_tokens: number;
  /** Confidence is logistic((margin - bias) / temperature), margin the span's score less that of "not answered". */
  bias: number;
  temperature: number;
  /** Answers below this probability count as not found. */
  threshold: number;
  /** What a sentence's standing counts beside the scores of its spans. */
  standing_weight: number;
  /** Relevance is a softmax of the two together, times this. */
  sharpness: number;
}

export type SpanLength = Pick<AnswerSettings, 'max_tokens' | 'length_penalty' | 'free_tokens'>;

/** Scores of every token of the evidence as the answer's first and as its last, and of "not answered" as either. */
export interface AnswerScores {
  starts: Float32Array;
  ends: Float32Array;
  none: number;
}

/** Tokens `first` … `last` of the evidence, both included. */
export interface TokenSpan {
  first: number;
  last: number;
}

/**
 * The best span of the evidence. Two readings count: how well each span answers, by the scores, and how each sentence stands in the
 * ranking of the scan (selection.ts), read again over the evidence alone. They err on different questions.
 *
 * @param owner the sentence of each token, rising; there is at least one token
 * @param standing one a sentence, larger is better; -Infinity for one that has no token
 * @returns the span, the probability that it answers, and that probability shared out among the sentences
 */
export function readAnswer(
  scores: AnswerScores,
  owner: number[],
  standing: number[],
  settings: AnswerSettings,
): { span: TokenSpan; confidence: number; relevance: number[] } {
  const { starts, ends, none } = scores;
  const favoured = starts.map((score, i) => score + settings.standing_weight * standing[owner[i]!]!);
  const span = bestSpan(favoured, ends, owner, settings);
  const margin = starts[span.first]! + ends[span.last]! - none;
  const confidence = 1 / (1 + Math.exp((settings.bias - margin) / settings.temperature));
  const together = spanMass(favoured, ends, owner, standing.length, settings.max_tokens);
  const shares = softmax(together.map((score) => settings.sharpness * score));
  return { span, confidence, relevance: shares.map((share) => confidence * share) };
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

/** Of each sentence the logarithm of the sum of exp(start + end) over the spans inside it; -Infinity where it has none. */
export function spanMass(
  starts: Float32Array,
  ends: Float32Array,
  owner: number[],
  sentences: number,
  limit: number,
): number[] {
  const mass = new Array<number>(sentences).fill(Number.NEGATIVE_INFINITY);
  for (let first = 0; first < owner.length; first++) {
    const sentence = owner[first]!;
    const stop = Math.min(owner.length, first + limit);
    for (let last = first; last < stop && owner[last] === sentence; last++)
      mass[sentence] = logAdd(mass[sentence]!, starts[first]! + ends[last]!);
  }
  return mass;
}

/** log(exp(a) + exp(b)), for scores that exp() does not hold. */
const logAdd = (a: number, b: number): number =>
  a < b ? logAdd(b, a) : b === Number.NEGATIVE_INFINITY ? a : a + Math.log1p(Math.exp(b - a));

function softmax(scores: number[]): number[] {
  const top = Math.max(...scores);
  const weights = scores.map((score) => Math.exp(score - top));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}
