import type { Answer, AnswerSpan } from '../../../shared/attention.ts';
import { NOT_FOUND } from './prompt.ts';

/** `[3]` or `[3, 7]` at the front of a string, and what may still become one. */
const MARKER = /^\[\s*\d[\d\s,]*\]/;
const UNFINISHED = /^\[[\d\s,]*$/;

// A chat model gives no probability. What is proved is likely, not certain.
const PROVED = 0.9;

/**
 * Reads a model's answer as it comes. Its citation numbers are those of the evidence; those that go out count the answer's own citations,
 * from 1 in the order of first use, so that `[k]` in the text is `spans[k - 1]`. Numbers of sentences that were not given are dropped, with
 * the space before them. Nothing goes out while it may still turn out to be NOT_FOUND or half a citation.
 */
export class AnswerReader {
  private readonly evidence: string[];
  private held = '';
  private space = '';
  private text = '';
  /** Evidence numbers, from 0, in the order of first use. */
  private readonly cited: number[] = [];
  private given = 0;
  private dropped = 0;
  private decided = false;

  constructor(evidence: string[]) {
    this.evidence = evidence;
  }

  /** Takes the model's next piece; returns what may be shown of it, perhaps nothing. */
  push(piece: string): string {
    this.held += piece;
    if (!this.decided) {
      const start = this.held.trimStart();
      if (NOT_FOUND.startsWith(start) || start.startsWith(NOT_FOUND)) return '';
      this.decided = true;
    }
    return this.release(false);
  }

  /** The rest of the text, and what came of it. */
  end(): { delta: string; answer: Answer } {
    if (!this.decided && this.held.trimStart().startsWith(NOT_FOUND)) return { delta: '', answer: notFound };
    const delta = this.release(true);
    if (this.cited.length === 0) return { delta, answer: this.uncited() };
    const confidence = (PROVED * this.given) / (this.given + this.dropped);
    const spans = this.cited.map((sentence) => wholeSentence(sentence, this.evidence[sentence]!));
    return { delta, answer: { found: true, text: this.text, confidence, spans } };
  }

  private release(all: boolean): string {
    const shown = this.text.length;
    while (this.held !== '') {
      const open = this.held.indexOf('[');
      const marker = open === 0 ? MARKER.exec(this.held)?.[0] : undefined;
      if (open === 0 && marker === undefined && !all && UNFINISHED.test(this.held)) break;
      // Up to the next bracket; one that opens no citation is text.
      const plain = open > 0 ? this.held.slice(0, open) : open === 0 ? '[' : this.held;
      if (marker === undefined) this.emit(plain);
      else this.cite(marker);
      this.held = this.held.slice((marker ?? plain).length);
    }
    return this.text.slice(shown);
  }

  /** White space waits for what follows it: the text neither begins nor ends with any. */
  private emit(plain: string): void {
    const whole = this.space + plain;
    const visible = whole.trimEnd();
    this.space = whole.slice(visible.length);
    this.text += this.text === '' ? visible.trimStart() : visible;
  }

  private cite(marker: string): void {
    let out = '';
    for (const digits of marker.match(/\d+/g)!) {
      const sentence = Number(digits) - 1;
      if (this.evidence[sentence] === undefined) {
        this.dropped += 1;
        continue;
      }
      this.given += 1;
      if (!this.cited.includes(sentence)) this.cited.push(sentence);
      out += `[${this.cited.indexOf(sentence) + 1}]`;
    }
    if (out === '') this.space = '';
    else this.emit(out);
  }

  /** Small models forget to cite: words that stand in a sentence prove themselves; anything else is not an answer from the evidence. */
  private uncited(): Answer {
    const quote = this.text.replace(/^["'“‘«]+|["'”’».!?]+$/gu, '').trim();
    const sentence = quote === '' ? -1 : this.evidence.findIndex((s) => s.includes(quote));
    if (sentence < 0) return notFound;
    const text = this.evidence[sentence]!;
    const start = codePoints(text.slice(0, text.indexOf(quote)));
    const spans = [{ sentence, start, end: start + codePoints(quote) }];
    return { found: true, text: this.text, confidence: PROVED / 2, spans };
  }
}

const notFound: Answer = Object.freeze({ found: false, text: '', confidence: 0, spans: [] });

const codePoints = (text: string): number => {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
};

/** The sentence without the white space around it. */
function wholeSentence(sentence: number, text: string): AnswerSpan {
  const visible = text.trimStart();
  if (visible === '') return { sentence, start: 0, end: codePoints(text) };
  const start = codePoints(text) - codePoints(visible);
  return { sentence, start, end: start + codePoints(visible.trimEnd()) };
}
