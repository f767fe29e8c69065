import type { ScanMode } from '../../shared/scan/index.ts';
import type { TokenizedSentence } from '../../shared/sentence.ts';
import { mean, percent, says } from './judge.ts';
import { type Cell, essaySentences, grid, hide } from './needles.ts';
import type { Tested } from './reader.ts';
import { spread } from './rows.ts';
import { counted, scanned } from './scan.ts';

interface Outcome {
  /** The needle's sentences are in the final evidence. */
  kept: boolean;
  /** The answer says it, whatever the confidence. */
  answered: boolean;
  answer: string;
  /** The product would not give it: its confidence is below the threshold. */
  refused: boolean;
}

const MODES: ScanMode[] = ['sequential', 'tournament'];

/** Needles in a long text of essays: are they in the evidence, and is the answer right? */
export async function needleGrid(tested: Tested, tokens: number, count: number): Promise<void> {
  const essays = essaySentences();
  if (!essays) return;
  for (const mode of MODES) {
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

async function* run(
  { reader, threshold }: Tested,
  essays: string[],
  cells: Cell[],
): AsyncGenerator<[Cell, Outcome]> {
  const { settings } = await reader.describe();
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
    const kept = await scanned(reader, settings, cell.mode, question, sentences);
    const evidence = kept.map((place) => text[place]!);
    const { text: answer, confidence } = await reader.answer({ question, evidence });
    const held = new Set(evidence.map((one) => one.trim()));
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
