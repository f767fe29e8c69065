import { Client } from '../cli/client.ts';
import { inProcess, startWorker } from '../cli/worker.ts';
import { buried, byteStream, haystack } from './text.ts';

// FOLDER TOKENS MODE [SESSION QUESTION]: asks, or goes on with a question asked before; prints a JSON line an event.
const [folder = '', tokens = '', mode = '', session, question] = process.argv.slice(2);
// The parent stops reading when it has seen enough.
process.stdout.on('error', () => process.exit());
const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);

const client = new Client(await inProcess(await startWorker(folder)));
let at: string;
let id = question ?? '';
if (session === undefined) {
  at = await client.createSession();
  const text = buried(
    haystack().paragraphs,
    Number(tokens),
    'The best thing to do in Perth is swim at dawn.',
    0.4,
  );
  await client.addDocument(at, 'long', byteStream(text));
  say({ session: at });
} else at = session;

const events =
  session === undefined
    ? client.ask(at, 'What is the best thing to do in Perth?', mode)
    : client.follow(at, id);
for await (const { event, data } of events) {
  if (event === 'run.started') {
    id = data.question;
    say({ question: id });
  }
  if (event === 'window.scored') say({ windows: data.windows });
}
const state = (await client.json(`/v1/sessions/${at}/questions/${id}`)) as Record<string, unknown>;
const { result, evidence } = state as { result: Record<string, unknown>; evidence: { document: string }[] };
// Ids are random and times differ; everything else must not.
const plain = JSON.stringify({ ...result, seconds: 0, evidence }).replaceAll(
  /"(document|id)":"[^"]*"/g,
  '"$1":""',
);
say({ final: JSON.parse(plain) });
