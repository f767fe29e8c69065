import { auroc, mean, percent } from './judge.ts';
import type { Tested } from './reader.ts';
import { type QaRow, sentencesOf, spread } from './rows.ts';
import { closed, counted, ranked, within } from './scan.ts';

/** Does the confidence tell passages that answer from passages that do not? */
export async function unanswerable(
  { reader, threshold }: Tested,
  rows: QaRow[],
  questions: number,
): Promise<void> {
  const { settings } = await reader.describe();
  const confidences = { yes: [] as number[], no: [] as number[] };
  for (const row of spread(rows, questions)) {
    const sentences = await counted(reader, closed(sentencesOf(row.context)));
    const { product } = await ranked(reader, settings, row.question, sentences);
    const evidence = within(product, sentences, settings.evidence_tokens).map((k) => sentences[k]!.text);
    const { confidence } = await reader.answer({ question: row.question, evidence });
    confidences[row.answers.length > 0 ? 'yes' : 'no'].push(confidence);
  }
  const { yes, no } = confidences;
  const refused = (of: number[]) => percent(mean(of.map((confidence) => confidence < threshold)));
  console.log(
    `answerable or not, one passage, ${yes.length} and ${no.length} questions: AUROC of the confidence ${percent(auroc(yes, no))}; refused ${refused(yes)} and ${refused(no)}`,
  );
}
