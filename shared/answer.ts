/** From an answer model's scores of tokens to a span, its confidence and the relevance of each sentence. */

/** How an answer is read off the scores: fitted after training, on articles kept out of it. */
export interface AnswerSettings {
  /** Longest answer in tokens. */
  max_tokens: number;
  /**
   * Confidence is logistic(span_weight · margin + evidence_weight · log odds - bias): how far the best span's score is above that of "not
   * answered", and the odds that there is evidence at all.
   */
  bias: number;
  span_weight: number;
  evidence_weight: number;
  /** Answers below this probability count as not found. */
  threshold: number;
  /** What the logarithm of its sentence's relevance adds to a span's score. */
  relevance_weight: number;
}

/** One score a token of the evidence, and that of "not answered here". */
export interface TokenScores {
  tokens: Float32Array;
  none: number;
}

/** Logits of every token as the answer's first, as its last, and as a part of the sentence that answers. */
export interface AnswerScores {
  start: TokenScores;
  end: TokenScores;
  evidence: TokenScores;
}

/** Tokens `first` … `last` of the evidence, both included. */
export interface TokenSpan {
  first: number;
  last: number;
}

/** A relevance below this is as good as none, in a logarithm. */
const FLOOR = 1e-4;
/** Keeps the odds of a certainty finite. */
const CERTAIN = 1e-6;

/**
 * The best span of the evidence.
 *
 * @param owner the sentence of each token, rising; there is at least one token
 * @param sentences how many sentences there are; one that has no token has no relevance
 */
export function readAnswer(
  { start, end, evidence }: AnswerScores,
  owner: number[],
  sentences: number,
  settings: AnswerSettings,
): { span: TokenSpan; confidence: number; relevance: number[] } {
  const { none, relevance } = relevanceOf(evidence, owner, sentences);
  const favoured = start.tokens.map(
    (score, i) => score + settings.relevance_weight * Math.log(relevance[owner[i]!]! + FLOOR),
  );
  const span = bestSpan(favoured, end.tokens, owner, settings.max_tokens);
  const margin = start.tokens[span.first]! + end.tokens[span.last]! - (start.none + end.none);
  const nowhere = Math.min(Math.max(none, CERTAIN), 1 - CERTAIN);
  const { bias, span_weight, evidence_weight } = settings;
  const logit = span_weight * margin + evidence_weight * Math.log((1 - nowhere) / nowhere) - bias;
  return { span, confidence: 1 / (1 + Math.exp(-logit)), relevance };
}

/** Softmax over "not answered" and the tokens: the share of each sentence, and what is left for none. */
export function relevanceOf(
  { tokens, none }: TokenScores,
  owner: number[],
  sentences: number,
): { none: number; relevance: number[] } {
  const top = tokens.reduce((max, score) => Math.max(max, score), none);
  const relevance = new Array<number>(sentences).fill(0);
  let total = Math.exp(none - top);
  tokens.forEach((score, i) => {
    const weight = Math.exp(score - top);
    relevance[owner[i]!]! += weight;
    total += weight;
  });
  return { none: Math.exp(none - top) / total, relevance: relevance.map((weight) => weight / total) };
}

/** The span with the largest start + end score, at most `limit` tokens, within one sentence or two neighbours. */
export function bestSpan(
  starts: Float32Array,
  ends: Float32Array,
  owner: number[],
  limit: number,
): TokenSpan {
  let best: TokenSpan = { first: 0, last: 0 };
  let highest = Number.NEGATIVE_INFINITY;
  for (let first = 0; first < owner.length; first++) {
    const stop = Math.min(owner.length, first + limit);
    for (let last = first; last < stop && owner[last]! - owner[first]! <= 1; last++) {
      const score = starts[first]! + ends[last]!;
      if (score <= highest) continue;
      highest = score;
      best = { first, last };
    }
  }
  return best;
}
