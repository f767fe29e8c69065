import { type AnswerSettings, readAnswer, type TokenSpan } from '../../shared/answer.ts';
import type { Answer, AnswerSpan } from '../../shared/attention.ts';
import type { Graph } from '../attention/embedded/graph.ts';
import type { Layout } from '../attention/embedded/layout.ts';

/** The evidence as the answer graph reads it, and as text. */
export interface Evidence {
  sentences: string[];
  /** Bytes of each token of each sentence. */
  bytes: number[][];
  layout: Layout;
  /** How each sentence stands in the scan's ranking of the evidence. */
  standing: number[];
}

/** An answer with the relevance of every sentence that it was read from. */
type Read = Answer & Required<Pick<Answer, 'relevance'>>;

const notFound = (confidence: number, relevance: number[]): Read => ({
  found: false,
  text: '',
  confidence,
  spans: [],
  relevance,
});

/** The best span of the evidence, or "not found" where the confidence is below the threshold. */
export async function answerSpan(
  graph: Graph,
  { sentences, bytes, layout, standing }: Evidence,
  settings: AnswerSettings,
): Promise<Read> {
  const { ids, lengths, first } = layout;
  const owner = lengths.flatMap((length, sentence) => new Array<number>(length).fill(sentence));
  if (owner.length === 0) return notFound(0, new Array<number>(sentences.length).fill(0));
  const { start_logits, end_logits, evidence_logits } = await graph(ids);
  if (!start_logits || !end_logits || !evidence_logits)
    throw new Error('the answer graph has no outputs "start_logits", "end_logits" and "evidence_logits"');
  const scores = {
    start: start_logits.subarray(first),
    end: end_logits.subarray(first),
    evidence: evidence_logits.subarray(first),
    // Position 0 stands for "not answered here".
    none: evidence_logits[0]!,
  };
  const { span, confidence, relevance } = readAnswer(scores, owner, standing, settings);
  if (confidence < settings.threshold) return notFound(confidence, relevance);
  const read = (sentence: number) => ({ text: sentences[sentence]!, bytes: bytes[sentence]! });
  const whole = { ...span, last: clauseEnd(span, scores.end, owner, read) };
  const spans = locate(whole, owner, lengths, read).map((part) =>
    wholeWords(part, sentences[part.sentence]!),
  );
  const text = spans.map(({ sentence, start, end }) => slice(sentences[sentence]!, start, end)).join('');
  return text ? { found: true, text, confidence, spans, relevance } : notFound(0, relevance);
}

/** Scores that differ by less are as good as the same: on articles kept out of training, 0.5 costs no F1 and 1 does. */
const TIE = 0.5;
/** Spans of up to so many tokens may have been cut short; widening longer ones costs F1. */
const CUT_SHORT = 6;
const CLOSES = /^(?:[.,;:!?…)\]。，、；：！？]|\s*$)/u;
/** The same where the span is directly followed by "and" or "or": this much costs 0.006 F1, for every span many times as much. */
const TIE_BEFORE_AND = 6;
const GOES_ON = /^\s(?:and|or)\b/u;
/** What joins the parts of a list. Widening what is none costs F1. */
const JOINS = /[,，、]|\b(?:and|or)\b/u;

/**
 * The last token of a span. Where a short one's end is nearly a tie between words of a list ("eat", "eat a sandwich", "eat a sandwich and sit in
 * the park"), the longest that reaches the end of its clause is the one that leaves nothing out.
 */
export function clauseEnd(
  { first, last }: TokenSpan,
  ends: Float32Array,
  owner: number[],
  read: (sentence: number) => { text: string; bytes: number[] },
): number {
  if (last - first >= CUT_SHORT) return last;
  const sentence = owner[last]!;
  const begin = owner.indexOf(sentence);
  const { text, bytes } = read(sentence);
  const characters = [...text];
  const to = (token: number) => codePoints(text, bytes, Math.max(first - begin, 0), token - begin + 1);
  const goesOn = GOES_ON.test(characters.slice(to(last).end).join(''));
  const lowest = ends[last]! - (goesOn ? TIE_BEFORE_AND : TIE);
  let chosen = last;
  for (let at = last + 1; owner[at] === sentence; at++) {
    if (ends[at]! < lowest) continue;
    const { start, end } = to(at);
    const [whole, rest] = [characters.slice(start, end), characters.slice(end)];
    if (JOINS.test(whole.join('')) && CLOSES.test(rest.join(''))) chosen = at;
  }
  return chosen;
}

/**
 * The span widened to whole words: a token may be a part of a long number or name. Scripts without spaces between words are left as they
 * are.
 */
export function wholeWords(span: AnswerSpan, text: string): AnswerSpan {
  const characters = [...text];
  const inWord = (at: number) =>
    /^[\p{L}\p{M}\p{N}]$/u.test(characters[at] ?? '') &&
    !/^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]$/u.test(characters[at]!);
  let { start, end } = span;
  while (start > 0 && inWord(start) && inWord(start - 1)) start--;
  while (end < characters.length && inWord(end - 1) && inWord(end)) end++;
  return { ...span, start, end };
}

/** A span of tokens as code points of its sentences, without the white space around it. */
function locate(
  { first, last }: TokenSpan,
  owner: number[],
  lengths: number[],
  read: (sentence: number) => { text: string; bytes: number[] },
): AnswerSpan[] {
  const spans: AnswerSpan[] = [];
  for (let sentence = owner[first]!; sentence <= owner[last]!; sentence++) {
    const begin = owner.indexOf(sentence);
    const { text, bytes } = read(sentence);
    const from = Math.max(first - begin, 0);
    const to = Math.min(last - begin + 1, lengths[sentence]!);
    spans.push({ sentence, ...codePoints(text, bytes, from, to) });
  }
  return trimmed(spans, (sentence) => read(sentence).text);
}

/**
 * Code points that tokens `from` … `to` (exclusive) touch. A byte-level token may end inside a character; the character then belongs to
 * the span as a whole.
 */
export function codePoints(text: string, bytes: number[], from: number, to: number) {
  const sum = (end: number) => bytes.slice(0, end).reduce((total, n) => total + n, 0);
  const [firstByte, endByte] = [sum(from), sum(to)];
  let start = 0;
  let end = 0;
  let at = 0;
  for (const character of text) {
    const code = character.codePointAt(0)!;
    const next = at + (code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4);
    if (next <= firstByte) start++;
    if (at < endByte) end++;
    at = next;
  }
  return { start, end };
}

function trimmed(spans: AnswerSpan[], text: (sentence: number) => string): AnswerSpan[] {
  const isSpace = (character: string | undefined) => character !== undefined && /\s/u.test(character);
  const kept = spans.map((span) => ({ ...span }));
  while (kept.length > 0) {
    const span = kept[0]!;
    const characters = [...text(span.sentence)];
    while (span.start < span.end && isSpace(characters[span.start])) span.start++;
    if (span.start < span.end) break;
    kept.shift();
  }
  while (kept.length > 0) {
    const span = kept.at(-1)!;
    const characters = [...text(span.sentence)];
    while (span.end > span.start && isSpace(characters[span.end - 1])) span.end--;
    if (span.start < span.end) break;
    kept.pop();
  }
  return kept;
}

const slice = (text: string, start: number, end: number) => [...text].slice(start, end).join('');
