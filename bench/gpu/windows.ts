import type { AttentionBackend, WindowScores } from '../../shared/attention.ts';
import { scans, type Window } from '../../shared/scan/index.ts';
import type { TokenizedSentence } from '../../shared/sentence.ts';

/** The windows that round 0 of a tournament makes of a document: they depend on no score. */
export async function roundOf(backend: AttentionBackend, sentences: string[]): Promise<Window[]> {
  const { settings } = await backend.describe();
  const counts = await backend.countTokens(sentences);
  let ahead = sentences.map((text, i): TokenizedSentence => {
    return { document: 'd', start: i, end: i + 1, text, tokens: counts[i]! };
  });
  const windows: Window[] = [];
  const state = scans.tournament.start(settings, '');
  while (ahead.length > 0) {
    const plan = scans.tournament.plan(state, ahead, true);
    if (plan.kind !== 'window') break;
    windows.push(plan.window);
    ahead = ahead.slice(plan.window.taken);
  }
  return windows;
}

/** Places of the sentences that a tournament's first round keeps, window by window. */
export async function keptOf(
  backend: AttentionBackend,
  question: string,
  windows: Window[],
  scores: WindowScores[],
): Promise<Set<number>[]> {
  const { settings } = await backend.describe();
  let state = scans.tournament.start(settings, question);
  return windows.map((window, i) => {
    const outcome = scans.tournament.absorb(state, window, scores[i]!);
    state = outcome.state;
    return new Set(outcome.survivors.map((s) => s.start));
  });
}
