import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const child = fileURLToPath(new URL('kill-child.ts', import.meta.url));

interface Line {
  session?: string;
  question?: string;
  windows?: number;
  final?: unknown;
}

/** A process group of its own, so that the signal reaches workerd as well. */
function start(folder: string, ...args: string[]): ChildProcess {
  return spawn(process.execPath, ['--no-warnings', child, folder, ...args], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** Follows a child's lines until `stop` says so or it ends. */
async function follow(process: ChildProcess, seen: (line: Line) => boolean): Promise<void> {
  let rest = '';
  for await (const chunk of process.stdout!) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop()!;
    for (const line of lines) if (line.startsWith('{') && seen(JSON.parse(line))) return;
  }
}

async function run(
  tokens: string,
  mode: string,
  killAt: number | undefined,
): Promise<{ final: unknown; killed: number }> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-kill-'));
  try {
    let session = '';
    let question = '';
    let killed = 0;
    let final: unknown;
    const note = (line: Line) => {
      session = line.session ?? session;
      question = line.question ?? question;
      final = line.final ?? final;
      killed = final ? killed : (line.windows ?? killed);
      return final !== undefined || (killAt !== undefined && question !== '' && killed >= killAt);
    };
    const first = start(folder, tokens, mode);
    await follow(first, note);
    process.kill(-first.pid!, 'SIGKILL');
    if (final === undefined) {
      const at = killed;
      const second = start(folder, tokens, mode, session, question);
      await follow(second, (line) => {
        final = line.final ?? final;
        return final !== undefined;
      });
      killed = at;
      process.kill(-second.pid!, 'SIGKILL');
    }
    return { final, killed };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** kill -9 of the whole process family in the middle of a scan; the resumed run must end as an uninterrupted one does. */
export async function main(argv: string[]): Promise<void> {
  const { values } = parseArgs({
    args: argv,
    options: {
      tokens: { type: 'string', default: '60000' },
      modes: { type: 'string', default: 'sequential,tournament' },
    },
  });
  let different = 0;
  for (const mode of values.modes.split(',')) {
    const whole = await run(values.tokens, mode, undefined);
    const windows = (whole.final as { read: { windows: number } }).read.windows;
    console.log(`${mode}: ${windows} windows uninterrupted`);
    for (const share of [0.1, 0.3, 0.5, 0.7, 0.9]) {
      const { final, killed } = await run(values.tokens, mode, Math.round(windows * share));
      const same = JSON.stringify(final) === JSON.stringify(whole.final);
      if (!same) different++;
      console.log(
        `  killed after window ${killed}, resumed: ${same ? 'identical' : 'DIFFERENT'} evidence and answer`,
      );
    }
  }
  if (different > 0) throw new Error(`${different} resumed runs differ`);
}
