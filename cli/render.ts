import type { AskResult, Citation } from '../durable-objects/types.ts';

const terminal = (stream: NodeJS.WriteStream) => stream.isTTY === true && process.env.NO_COLOR === undefined;
const paint = (code: number, text: string) =>
  terminal(process.stdout) ? `\x1b[${code}m${text}\x1b[0m` : text;

const number = new Intl.NumberFormat('en');
const bytes = (n: number) =>
  n < 1e3 ? `${n} bytes` : n < 1e6 ? `${(n / 1e3).toFixed(1)} KB` : `${(n / 1e6).toFixed(1)} MB`;

/** A citation in its surroundings; `before` and `after` are the text on either side. */
export interface CitationInContext extends Citation {
  before: string;
  after: string;
}

/** What a person reads after a run. */
export function renderResult(result: AskResult, citations: CitationInContext[], session: string): string {
  const lines: string[] = [''];
  if (result.found) {
    lines.push(paint(1, result.answer), '');
    for (const c of citations) {
      const before = c.before.replace(/\s+/g, ' ').trimStart();
      const after = c.after.replace(/\s+/g, ' ').trimEnd();
      lines.push(`  …${before}${paint(7, c.exact)}${after}…`);
      lines.push(paint(2, `  characters ${number.format(c.start)}–${number.format(c.end)}`), '');
    }
  } else {
    lines.push(paint(1, 'Not found in what was read.'), '');
  }
  const { windows, sentences, bytes: size } = result.read;
  lines.push(
    paint(
      2,
      `read ${number.format(sentences)} sentences (${bytes(size)}) in ${number.format(windows)} windows, ` +
        `${result.seconds.toFixed(1)} s; confidence ${(result.confidence * 100).toFixed(0)}%`,
    ),
    paint(2, `ask again: npm run ask -- --session ${session} "…"`),
  );
  return lines.join('\n');
}

/** A one-line progress bar on standard error; silent where nobody watches. */
export class Progress {
  private label = '';
  private started = 0;
  private shown = 0;

  show(label: string, done: number, total: number | undefined, detail: string): void {
    if (!terminal(process.stderr)) return;
    const now = performance.now();
    if (label !== this.label) {
      // What comes next takes its own time.
      this.label = label;
      this.started = now;
    }
    if (now - this.shown < 80) return;
    this.shown = now;
    const share = total ? Math.min(1, done / total) : 0;
    const width = 24;
    const filled = Math.round(share * width);
    const bar = total
      ? `${'█'.repeat(filled)}${'░'.repeat(width - filled)} ${(share * 100).toFixed(0)}% `
      : '';
    const elapsed = (now - this.started) / 1000;
    const left = share > 0.02 ? `, ${Math.ceil((elapsed / share) * (1 - share))} s left` : '';
    process.stderr.write(`\r\x1b[2K${label} ${bar}${detail}${total ? left : ''}`);
  }

  clear(): void {
    if (terminal(process.stderr)) process.stderr.write('\r\x1b[2K');
  }
}

export { bytes as formatBytes, number as formatNumber };
