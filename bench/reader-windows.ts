import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** A question with one window of sentences. */
export interface QuestionWindow {
  question: string;
  sentences: string[];
  /** Whether one of the sentences' paragraphs holds the answer. */
  answerable: boolean;
}

interface Row {
  context: string;
  question: string;
  answer_start: number | null;
}

const folder = join(import.meta.dirname, '../../shared/data/dev');

/**
 * Windows of about `characters` of SQuAD 1.1's paragraphs: every second one with the paragraph that answers the question, the others
 * without it. Null where the data is not on this machine.
 */
export function squadWindows(count: number, characters: number): QuestionWindow[] | null {
  const path = join(folder, 'squad_v1.1.dev.jsonl.xz');
  if (!existsSync(path)) return null;
  const text = execFileSync('xz', ['-dc', path], { maxBuffer: 2 ** 30 }).toString();
  const rows = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Row);
  const paragraphs = [...new Set(rows.map((row) => row.context))];
  const step = Math.floor(rows.length / count);
  return Array.from({ length: count }, (_, i) => {
    const row = rows[i * step]!;
    const own = paragraphs.indexOf(row.context);
    const answerable = i % 2 === 0;
    const picked = answerable ? [row.context] : [];
    for (let k = 1; picked.join('').length < characters; k++) {
      // A large stride leaves the question's own article.
      picked.push(paragraphs[(own + k * 397) % paragraphs.length]!);
    }
    // The gold paragraph stands at another place in each window.
    const turn = i % picked.length;
    const ordered = [...picked.slice(turn), ...picked.slice(0, turn)];
    return { question: row.question, sentences: ordered.flatMap(sentencesOf), answerable };
  });
}

const sentencesOf = (paragraph: string): string[] => `${paragraph}\n`.match(/.+?[.?!]["')]*\s+|.+\n/gs) ?? [];
