import { parseArgs } from 'node:util';
import { childCpu } from './process.ts';
import { answer, withWorker } from './run.ts';
import { buried, byteStream, haystack } from './text.ts';

/**
 * What the edge costs without the model: segmenting, windows, selection and SQLite, with a backend that scores by arithmetic. CPU time
 * of workerd, start-up left out.
 */
export async function main(argv: string[]): Promise<void> {
  const { values } = parseArgs({
    args: argv,
    options: {
      tokens: { type: 'string', default: '1000000' },
      'edge-only': { type: 'boolean', default: false },
    },
  });
  const tokens = Number(values.tokens);
  const { paragraphs } = haystack();
  const measure = async (entry?: string) =>
    withWorker(async (client) => {
      const warm = await client.createSession();
      await client.addDocument(warm, 'warm', byteStream(['One sentence. Another sentence.']));
      await answer(client, warm, 'What is it?', 'sequential');
      const session = await client.createSession();
      const start = childCpu();
      await client.addDocument(
        session,
        'long',
        byteStream(buried(paragraphs, tokens, 'The gate opens at six.', 0.5)),
      );
      const sent = childCpu();
      const { read } = await answer(client, session, 'When does the gate open?', 'sequential');
      const asked = childCpu();
      return { send: sent - start, ask: asked - sent, read };
    }, entry);
  const perMillion = (seconds: number) => `${((seconds / tokens) * 1e6).toFixed(2)} s`;
  const edge = await measure('bench/edge-worker.ts');
  console.log(
    `CPU per 1M tokens (${tokens} tokens, ${edge.read.sentences} sentences, ${edge.read.windows} windows)`,
  );
  console.log(`  send (decode, segment, store)     ${perMillion(edge.send)}`);
  console.log(`  ask without the model             ${perMillion(edge.ask)}`);
  console.log(`  together                          ${perMillion(edge.send + edge.ask)}`);
  if (values['edge-only']) return;
  const whole = await measure();
  console.log(`  a whole run, the model included   ${perMillion(whole.send + whole.ask)}`);
  console.log(
    `  edge share of a whole run         ${(((edge.send + edge.ask) / (whole.send + whole.ask)) * 100).toFixed(1)}%`,
  );
}
