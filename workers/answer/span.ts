import { readAnswer, type TokenScores, type TokenSpan } from '../../shared/answer.ts';
import type { Answer, AnswerSpan } from '../../shared/attention.ts';
import type { Graph } from '../attention/embedded/graph.ts';
import { type Layout, layOutToAnswer } from '../attention/embedded/layout.ts';
import type { Manifest } from '../attention/embedded/manifest.ts';
import type { ReaderTokenizer } from '../attention/embedded/tokenizer.ts';

interface AnswerParts {
  graph: Graph;
  tokenizer: ReaderTokenizer;
  manifest: Manifest;
}

const notFound = (confidence: number, relevance: number[]): Answer => ({
  found: false,
  text: '',
  confidence,
  spans: [],
  relevance,
});

/** The best span of the evidence, or "not found" where the confidence is below the threshold. */
export async function answerSpan(
  { graph, tokenizer, manifest }: AnswerParts,
  question: number[],
  evidence: string[],
): Promise<Answer> {
  const ids = evidence.map((sentence) => tokenizer.encode(sentence));
  const layout = layOutToAnswer(ids, question, manifest);
  const { lengths } = layout;
  const owner = lengths.flatMap((length, sentence) => new Array<number>(length).fill(sentence));
  if (owner.length === 0) return notFound(0, new Array<number>(evidence.length).fill(0));
  const logits = await graph(layout.ids);
  const scores = {
    start: scoresOf(logits, 'start_logits', layout),
    end: scoresOf(logits, 'end_logits', layout),
    evidence: scoresOf(logits, 'evidence_logits', layout),
  };
  const { span, confidence, relevance } = readAnswer(scores, owner, evidence.length, manifest.answer);
  if (confidence < manifest.answer.threshold) return notFound(confidence, relevance);
  const read = (sentence: number) => ({
    text: evidence[sentence]!,
    bytes: ids[sentence]!.map((id) => tokenizer.byteLength(id)),
  });
  const spans = locate(span, owner, lengths, read).map((part) => wholeWords(part, evidence[part.sentence]!));
  const text = spans.map(({ sentence, start, end }) => slice(evidence[sentence]!, start, end)).join('');
  return text ? { found: true, text, confidence, spans, relevance } : notFound(0, relevance);
}

/** Position 0 of the graph's input stands for "not answered here". */
function scoresOf(logits: Record<string, Float32Array>, name: string, { first }: Layout): TokenScores {
  const scores = logits[name];
  if (!scores) throw new Error(`the answer graph has no output "${name}"`);
  return { tokens: scores.subarray(first), none: scores[0]! };
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
