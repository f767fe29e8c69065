import type { Context, ErrorHandler, NotFoundHandler } from 'hono';
import type { AppEnv } from '../env.ts';
import { Problem, type ProblemDetails, toProblem } from './problem.ts';

/** Logs where an error comes from, not its message: messages of parsers and backends quote their input. */
export function logError(error: unknown): void {
  const { name, stack = '' } = error instanceof Error ? error : new Error();
  const frames = stack.split('\n').filter((line) => /^\s+at /.test(line));
  console.error([name, ...frames.slice(0, 8)].join('\n'));
}

const render = (c: Context<AppEnv>, problem: ProblemDetails): Response =>
  c.body(JSON.stringify(problem), problem.status as 400, { 'content-type': 'application/problem+json' });

export const onError: ErrorHandler<AppEnv> = (error, c) => {
  const problem = toProblem(error);
  if (problem.status >= 500) logError(error);
  return render(c, problem);
};

export const onNotFound: NotFoundHandler<AppEnv> = (c) =>
  render(
    c,
    new Problem(
      404,
      'unknown-path',
      'There is nothing here',
      `${c.req.method} on this path is not part of the API.`,
      'GET / lists the paths.',
    ).details,
  );
