import type { Answerer, AttentionBackend } from '../../shared/attention.ts';
import type { ScanMode } from '../../shared/scan/index.ts';
import { joined, type Reading, secondLook, surer } from '../../shared/scan/second.ts';
import type { TokenizedSentence } from '../../shared/sentence.ts';
import { scanned } from './scan.ts';

/** A whole run in memory, the second look included where the product takes one. */
export async function readWhole(
  reader: AttentionBackend & Answerer,
  mode: ScanMode,
  question: string,
  sentences: TokenizedSentence[],
): Promise<Reading> {
  const { settings, again_below } = await reader.describe();
  const { evidence, counts } = await scanned(reader, settings, mode, question, sentences);
  const texts = evidence.map((s) => s.text);
  const first: Reading = { answer: await reader.answer({ question, counts, evidence: texts }), evidence };
  const look = secondLook(first, again_below);
  if (!look) return first;
  const found = look.found.text;
  const again = await scanned(reader, settings, mode, question, sentences, found);
  const both = joined(look.found, again.evidence);
  const answer = await reader.answer({
    question,
    found,
    counts: again.counts,
    evidence: both.map((s) => s.text),
  });
  return surer(first, { answer, evidence: both });
}
