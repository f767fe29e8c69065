import { readFileSync } from 'node:fs';
import type { ScanMode } from '../../shared/scan/index.ts';
import type { TokenizedSentence } from '../../shared/sentence.ts';
import { mean, percent, says } from './judge.ts';
import { type Cell, essaySentences, grid, hide } from './needles.ts';
import type { Tested } from './reader.ts';
import { answeredFrom } from './rerank.ts';
import { spread } from './rows.ts';
import { counted } from './scan.ts';
import { readWhole } from './second.ts';

interface Outcome {
  /** The needle's sentences are among those that the answer was read from. */
  kept: boolean;
  /** The answer says it, whatever the confidence. */
  answered: boolean;
  answer: string;
  /** The product would not give it: its confidence is below the threshold. */
  refused: boolean;
}

/** Needles in a long text of essays: are they in the evidence, and is the answer right? */
export async function needleGrid(
  tested: Tested,
  tokens: number,
  count: number,
  modes: ScanMode[],
): Promise<void> {
  const essays = essaySentences();
  if (!essays) return;
  for (const mode of modes) {
    const cells = spread(grid(tokens, mode), count);
    const outcomes: (Outcome & { set: string })[] = [];
    for await (const [cell, outcome] of run(tested, essays, cells))
      outcomes.push({ ...outcome, set: cell.set });
    console.log(`needles, about ${tokens} tokens, ${mode}:`);
    for (const set of new Set(outcomes.map((outcome) => outcome.set))) {
      const of = outcomes.filter((outcome) => outcome.set === set);
      const shares = [
        `kept ${percent(mean(of.map((o) => o.kept)))}`,
        `answered right ${percent(mean(of.map((o) => o.answered && !o.refused)))}`,
        `with the ${of.filter((o) => o.refused).length} refused as well ${percent(mean(of.map((o) => o.answered)))}`,
      ];
      console.log(`  ${set.padEnd(27)} ${String(of.length).padStart(3)} cells  ${shares.join('  ')}`);
      const wrong = of.find((o) => o.kept && !o.answered);
      if (wrong) console.log(`    kept, not right: ${JSON.stringify(wrong.answer)}`);
    }
  }
}

/** Cells that another program ran (JSON lines, with its outcome), run again here: is the outcome the same? */
export async function repeatCells(tested: Tested, path: string): Promise<void> {
  const essays = essaySentences();
  if (!essays) return;
  const lines = readFileSync(path, 'utf8').trim().split('\n');
  const cells = lines.map((line) => JSON.parse(line) as Cell & Outcome);
  const same: Record<'kept' | 'answered' | 'answer', boolean[]> = { kept: [], answered: [], answer: [] };
  for await (const [cell, { kept, answered, answer }] of run(tested, essays, cells)) {
    same.kept.push(kept === cell.kept);
    same.answered.push(answered === cell.answered);
    same.answer.push(answer === cell.answer);
    const place = `${cell.set} ${cell.needle}.${cell.question} at ${Math.round(cell.depth * 100)}%`;
    const said =
      JSON.stringify(answer) + (answer === cell.answer ? '' : ` there ${JSON.stringify(cell.answer)}`);
    console.log(
      `  ${place.padEnd(34)} ${cell.tokens} ${cell.mode.padEnd(10)} kept ${kept}/${cell.kept} right ${answered}/${cell.answered} ${said}`,
    );
  }
  const agreement = Object.entries(same).map(
    ([name, of]) => `${name} ${of.filter(Boolean).length}/${of.length}`,
  );
  console.log(`the same here as there: ${agreement.join(', ')}`);
}

async function* run<T extends Cell>(
  { reader, threshold }: Tested,
  essays: string[],
  cells: T[],
): AsyncGenerator<[T, Outcome]> {
  const known = new Map(
    (
      await counted(
        reader,
        essays.map((text) => ({ text })),
      )
    ).map((s) => [s.text, s]),
  );
  const tokens = essays.map((text) => known.get(text)!.tokens);
  for (const cell of cells) {
    const { question, answers, text, gold } = hide(cell, essays, tokens);
    const fresh = [...new Set(text)].filter((one) => !known.has(one));
    const own = new Map(
      (
        await counted(
          reader,
          fresh.map((one) => ({ text: one })),
        )
      ).map((s) => [s.text, s]),
    );
    const sentences = text.map(
      (one, start): TokenizedSentence => ({ ...(known.get(one) ?? own.get(one)!), start }),
    );
    const { answer: given, evidence } = await readWhole(reader, cell.mode, question, sentences);
    const { text: answer, confidence, relevance } = given;
    const places = evidence.map((s) => s.start);
    const held = new Set(answeredFrom(places, relevance!).map((place) => text[place]!.trim()));
    yield [
      cell,
      {
        kept: gold.every((parts) => parts.some((part) => held.has(part.trim()))),
        answered: says(answer, answers),
        answer,
        refused: confidence < threshold,
      },
    ];
  }
}
