import { parseArgs } from 'node:util';
import { answer, withWorker } from './run.ts';
import { buried, byteStream, haystack } from './text.ts';

const needle =
  'The best thing to do in San Francisco is eat a sandwich and sit in Dolores Park on a sunny day.';
const question = 'What is the best thing to do in San Francisco?';

/** Needle in a haystack: is the needle's sentence in the final evidence, and in the answer, at every depth? */
export async function main(argv: string[]): Promise<void> {
  const { values } = parseArgs({
    args: argv,
    options: {
      tokens: { type: 'string', default: '100000' },
      depths: { type: 'string', default: '11' },
      modes: { type: 'string', default: 'sequential,tournament' },
    },
  });
  const tokens = Number(values.tokens);
  const depths = Number(values.depths);
  const { name, paragraphs } = haystack();
  console.log(`haystack: ${name}; about ${tokens} tokens; ${depths} depths\n`);
  console.log('mode        depth  kept  answered  windows  sentences/s  seconds  answer');
  for (const mode of values.modes.split(',')) {
    let kept = 0;
    let right = 0;
    for (let i = 0; i < depths; i++) {
      const depth = depths === 1 ? 0.5 : i / (depths - 1);
      await withWorker(async (client) => {
        const session = await client.createSession();
        await client.addDocument(session, 'haystack', byteStream(buried(paragraphs, tokens, needle, depth)));
        const result = await answer(client, session, question, mode);
        const state = (await client.json(`/v1/sessions/${session}/questions/${result.id}`)) as {
          evidence: { exact: string }[];
        };
        const isKept = state.evidence.some((e) => e.exact.includes('eat a sandwich and sit in Dolores Park'));
        const isRight = /sandwich/i.test(result.answer) && /dolores/i.test(result.answer);
        kept += Number(isKept);
        right += Number(isRight);
        const rate = result.read.sentences / result.seconds;
        console.log(
          [
            mode.padEnd(11),
            `${Math.round(depth * 100)}%`.padStart(5),
            (isKept ? 'yes' : 'NO').padStart(5),
            (isRight ? 'yes' : 'no').padStart(9),
            String(result.read.windows).padStart(8),
            rate.toFixed(0).padStart(12),
            result.seconds.toFixed(1).padStart(8),
            ` ${JSON.stringify(result.answer)}`,
          ].join(' '),
        );
      });
    }
    console.log(`${mode}: kept ${kept}/${depths}, answered ${right}/${depths}\n`);
  }
}
