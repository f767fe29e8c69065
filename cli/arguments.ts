import { parseArgs } from 'node:util';

export const usage = `npm run ask -- FILE|- "QUESTION" [options]

  FILE              a UTF-8 text file; "-" reads standard input
  --mode MODE       sequential (default) or tournament
  --session ID      ask again about a text sent before: npm run ask -- --session ID "QUESTION"
  --json            one JSON object instead of text for people
  --state FOLDER    where sessions are kept (default: .sluice)

Exit codes: 0 answered, 3 not found in what was read, 1 error.`;

export interface Arguments {
  /** Undefined when a session is asked again. */
  file: string | undefined;
  question: string;
  mode: 'sequential' | 'tournament';
  session: string | undefined;
  json: boolean;
  state: string;
}

/** What the user typed cannot be carried out; the message says why. */
export class BadArguments extends Error {}

/** @throws BadArguments */
export function parseArguments(argv: string[]): Arguments | 'help' {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(argv);
  } catch (error) {
    throw new BadArguments((error as Error).message);
  }
  const { values, positionals } = parsed;
  if (values.help) return 'help';
  const wanted = values.session === undefined ? 2 : 1;
  if (positionals.length !== wanted) {
    throw new BadArguments(
      values.session === undefined
        ? `a file and a question are needed, in quotation marks; got ${positionals.length} argument(s)`
        : 'with --session only the question is needed, in quotation marks',
    );
  }
  if (values.mode !== 'sequential' && values.mode !== 'tournament') {
    throw new BadArguments(`--mode is sequential or tournament, not "${values.mode}"`);
  }
  const question = positionals.at(-1)!;
  if (question.trim() === '') throw new BadArguments('the question is empty');
  return {
    file: values.session === undefined ? positionals[0] : undefined,
    question,
    mode: values.mode,
    session: values.session,
    json: values.json,
    state: values.state,
  };
}

const parse = (argv: string[]) =>
  parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      mode: { type: 'string', default: 'sequential' },
      session: { type: 'string' },
      json: { type: 'boolean', default: false },
      state: { type: 'string', default: '.sluice' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
