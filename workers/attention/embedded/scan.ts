import type { WindowScores } from '../../../shared/attention.ts';
import type { Graph } from './graph.ts';
import type { ScanLayout } from './layout.ts';

/** Runs the scan graph over one window: importance of each token of each sentence, and the mass on the first position. */
export async function scanWindow(
  scan: Graph,
  { ids, rows, first, lengths }: ScanLayout,
): Promise<WindowScores> {
  const { importance } = await scan(ids, rows);
  if (!importance) throw new Error('the scan graph has no output "importance"');
  let at = first;
  const sentences = lengths.map((length) => {
    const from = at;
    at += length;
    return { importance: importance.subarray(from, at) };
  });
  return { sentences, sink: importance[0]! };
}
