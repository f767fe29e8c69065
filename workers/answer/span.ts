import type { Answer, AnswerSpan } from '../../shared/attention.ts';
import type { Graph } from '../attention/embedded/graph.ts';
import { layOutToAnswer } from '../attention/embedded/layout.ts';
import type { Manifest } from '../attention/embedded/manifest.ts';
import type { ReaderTokenizer } from '../attention/embedded/tokenizer.ts';

interface AnswerParts {
  graph: Graph;
  tokenizer: ReaderTokenizer;
  manifest: Manifest;
}

/** Tokens `first` … `last` of the evidence, both included. */
export interface TokenSpan {
  first: number;
  last: number;
  score: number;
}

const nothing = (confidence: number): Answer => ({ found: false, text: '', confidence, spans: [] });

/** The best span of the evidence, or "not found" where position 0, the mark before the text, outweighs every span. */
export async function answerSpan(
  parts: AnswerParts,
  question: number[],
  evidence: string[],
): Promise<Answer> {
  const { graph, tokenizer, manifest } = parts;
  const ids = evidence.map((sentence) => tokenizer.encode(sentence));
  const { lengths, first, ...window } = layOutToAnswer(ids, question, manifest);
  if (lengths.every((length) => length === 0)) return nothing(0);
  const { start_logits: starts, end_logits: ends } = await graph(window.ids, window.rows);
  if (!starts || !ends) throw new Error('the answer graph has no outputs "start_logits" and "end_logits"');
  const owner = lengths.flatMap((length, sentence) => new Array<number>(length).fill(sentence));
  // A causal state can't know that its token is the last one: the end is scored on the token behind it.
  const endsBehind = ends.subarray(first + 1);
  const best = bestSpan(starts.subarray(first), endsBehind, owner, manifest.answer.max_tokens);
  const margin = best.score - (starts[0]! + ends[0]!);
  const { bias, temperature, threshold } = manifest.answer;
  const confidence = 1 / (1 + Math.exp((bias - margin) / temperature));
  if (confidence < threshold) return nothing(confidence);
  const read = (sentence: number) => ({
    text: evidence[sentence]!,
    bytes: ids[sentence]!.map((id) => tokenizer.byteLength(id)),
  });
  const whole = { ...best, last: clauseEnd(best, endsBehind, owner, read) };
  const located = locate(whole, owner, lengths, read);
  const spans = located.map((span) => wholeWords(span, evidence[span.sentence]!));
  const text = spans.map(({ sentence, start, end }) => slice(evidence[sentence]!, start, end)).join('');
  return text ? { found: true, text, confidence, spans } : nothing(0);
}

/** The span with the largest start + end score, at most `limit` tokens, within one sentence or two neighbours. */
export function bestSpan(
  starts: Float32Array,
  ends: Float32Array,
  owner: number[],
  limit: number,
): TokenSpan {
  let best: TokenSpan = { first: 0, last: 0, score: Number.NEGATIVE_INFINITY };
  for (let first = 0; first < owner.length; first++) {
    const stop = Math.min(owner.length, first + limit);
    for (let last = first; last < stop && owner[last]! - owner[first]! <= 1; last++) {
      const score = starts[first]! + ends[last]!;
      if (score > best.score) best = { first, last, score };
    }
  }
  return best;
}

/** Scores that differ by less are as good as the same: on articles kept out of training, 0.5 costs no F1 and 1 does. */
const TIE = 0.5;
const CLOSES = /^(?:[.,;:!?…)\]。，、；：！？]|\s*$)/u;

/**
 * The last token of the span. Where the end is nearly a tie between words of a list ("eat", "eat a sandwich", "eat a sandwich and sit in
 * the park"), the longest that reaches the end of its clause is the one that leaves nothing out.
 */
export function clauseEnd(
  { last }: TokenSpan,
  ends: Float32Array,
  owner: number[],
  read: (sentence: number) => { text: string; bytes: number[] },
): number {
  const sentence = owner[last]!;
  const begin = owner.indexOf(sentence);
  const { text, bytes } = read(sentence);
  let chosen = last;
  for (let at = last + 1; owner[at] === sentence; at++) {
    if (ends[at]! < ends[last]! - TIE) continue;
    const { end } = codePoints(text, bytes, 0, at - begin + 1);
    if (CLOSES.test([...text].slice(end).join(''))) chosen = at;
  }
  return chosen;
}

/**
 * The span widened to whole words. A causal model can't know at a token that the word goes on behind it, so long numbers and names lose
 * their ends. Scripts without spaces between words are left as they are.
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
