import { isSpace } from './punctuation.ts';

/** What a line is: prose wraps and holds several sentences; an item or heading starts anew; the others are one sentence each. */
export type LineKind = 'prose' | 'item' | 'heading' | 'table' | 'code' | 'log';

/** Units of a line that its kind is read from. */
const LINE_UNITS = 240;
/** A line that leaves this much room free was ended on purpose, not wrapped. Units; CJK counts double. */
const SHORT_LINE = 46;
/** Hardly anybody wraps wider than this: such a line is a paragraph of its own. */
const LONG_LINE = 200;

/** The line that starts at `i`, up to its end, `to` or LINE_UNITS. */
export function lineAt(text: string, i: number, to: number): string {
  const end = Math.min(to, i + LINE_UNITS);
  let j = i;
  while (j < end && text.charCodeAt(j) !== 10 && text.charCodeAt(j) !== 13) j++;
  return text.slice(i, j);
}

// Each pattern is anchored, with no repetition inside a repetition: linear on any line.
const ITEM =
  /^(?:[-*+•‣◦·▪–—]\s|[([]?\d{1,3}[.)\]](?:\s|$)|\(?[a-zA-Z]\)\s|[ivxIVX]{1,5}[.)]\s|[一二三四五六七八九十]{1,3}[、．.]|[（(][一二三四五六七八九十\d]{1,3}[）)]|(?:\d{4}|\d{1,2}[:h]\d{2})\s+[-–—A-ZÀ-Þ\u4e00-\u9fff]|[A-Z][A-Za-z ]{0,20}:\s|>)/;
const HEADING = /^(?:#{1,6}\s|={3,}|-{3,}|\*{3,}|_{3,}|第[一二三四五六七八九十百千\d]{1,6}[章节節回条])/;
const LOG =
  /^(?:\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d|\[?\d\d:\d\d:\d\d|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d\d:\d\d:\d\d|\[?(?:TRACE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL)\b|\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3} )/;
const CODE =
  /^(?:\/\/|\/\*|#!|#include\b|\$ |@\w+$|(?:import|export|const|let|var|function|def|class|return|package|public|private|static|fn|func|impl|use|from|if|for|while|else|try|elif|async|await)\b[^.]*[{};:()=]\s*$|<\/?[a-zA-Z][^>]*>\s*$)/;
const CODE_END = /(?:[{};]|\)\s*=>|=>)$/;

/** Kind of a line from its text, indentation taken off. */
export function kindOfLine(line: string): LineKind {
  const first = line.charCodeAt(0);
  if (first === 124 /* | */ || line.includes('\t') || line.split(' | ', 3).length === 3) return 'table';
  if (LOG.test(line)) return 'log';
  if (HEADING.test(line)) return 'heading';
  if (CODE.test(line)) return 'code';
  // A semicolon also ends lines of prose and lists; in code it stands after a call, an assignment or a bracket.
  const trimmed = line.trimEnd();
  if (CODE_END.test(trimmed) && (!trimmed.endsWith(';') || /[()=[\]{}]/.test(trimmed))) return 'code';
  if (ITEM.test(line)) return 'item';
  return 'prose';
}

/**
 * Whether the sentence ends at the line break at `i`.
 *
 * @param lineStart where the line began, possibly before the text at hand
 * @param from start of the sentence
 * @param to end of what may be read
 */
export function breaksLine(
  text: string,
  lineStart: number,
  from: number,
  i: number,
  to: number,
  kind: LineKind,
): boolean {
  if (kind !== 'prose' && kind !== 'item') return true;
  let k = i + 1;
  let indent = 0;
  for (; k < to && isSpace(text.charCodeAt(k)); k++) {
    const c = text.charCodeAt(k);
    if (c === 10 || c === 12 || c === 0x2028 || c === 0x2029) return true;
    if (c === 13 && text.charCodeAt(k + 1) !== 10) return true;
    indent = c === 9 ? indent + 4 : indent + 1;
  }
  if (k >= to) return true;
  const next = lineAt(text, k, to);
  const nextKind = kindOfLine(next);
  if (nextKind !== 'prose' || next.startsWith('```') || next.startsWith('~~~')) return true;
  if (kind === 'item' && indent >= 2) return false;
  const length = i - lineStart;
  if (length > LONG_LINE) return true;
  // An item's text goes on indented; a hard-wrapped sentence goes on in lower case.
  if (isLower(next)) return false;
  if (isCapitals(text, Math.max(from, lineStart), i)) return true;
  const end = text.charCodeAt(i - 1) === 13 ? i - 2 : i - 1;
  if (end >= from && text[end] === ':') return true;
  const word = next.indexOf(' ');
  const room = word < 0 ? next.length : word;
  return width(text, Math.max(from, lineStart), i) + Math.max(0, from - lineStart) + room < SHORT_LINE;
}

function isLower(line: string): boolean {
  const c = String.fromCodePoint(line.codePointAt(0)!);
  return c !== c.toUpperCase();
}

/** Whether a line has capitals and no small letters, as titles have. */
function isCapitals(text: string, from: number, to: number): boolean {
  let capitals = 0;
  for (let i = from; i < to; i++) {
    const c = text.charCodeAt(i);
    if ((c >= 97 && c <= 122) || c >= 0xdf) return false;
    if (c >= 65 && c <= 90) capitals++;
  }
  return capitals > 1;
}

function width(text: string, from: number, to: number): number {
  let sum = 0;
  for (let i = from; i < to; i++) sum += text.charCodeAt(i) > 0x2e7f ? 2 : 1;
  return sum;
}
