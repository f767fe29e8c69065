import { type Context, Hono } from 'hono';
import { z } from 'zod';
import type { QuestionInfo } from '../../durable-objects/types.ts';
import { QuestionTooLong } from '../../shared/attention.ts';
import type { AppEnv, Reader } from '../env.ts';
import { readJson } from '../middleware/json.ts';
import { notFound, Problem } from '../middleware/problem.ts';
import { withSession } from '../middleware/session.ts';
import { follow } from '../scan/follow.ts';
import { evidenceOf } from '../scan/ledger.ts';
import type { Run } from '../scan/turn.ts';
import { eventStream } from './event-stream.ts';

/** Longest that a question waits for the model before it is stored; the embedded one loads in less. */
const DESCRIBE_MS = 5_000;

const Ask = z.object({
  question: z.string().trim().min(1, 'must not be empty'),
  mode: z.enum(['sequential', 'tournament']).default('sequential'),
});

/** Questions of a session. Asking drives the run as long as the client listens; the queue goes on when it leaves. */
export const questions = new Hono<AppEnv>()
  .use(withSession)
  .post('/', async (c) => {
    const { question, mode } = await readJson(c, Ask);
    await expectShort(c.get('reader'), question);
    const key = c.req.header('idempotency-key') ?? null;
    const id = await c.get('session').ask({ question, mode, key });
    if (id === null) throw nothingToRead;
    if (wantsEvents(c)) return eventStream(c, driver(c, id), 0);
    return answered(c, id);
  })
  .get('/:question', async (c) => {
    const question = await c.get('session').question(c.req.param('question'));
    if (!question) throw notFound('question');
    return c.json(view(question));
  })
  .get('/:question/events', async (c) => {
    const id = c.req.param('question');
    if (!(await c.get('session').question(id))) throw notFound('question');
    const last = Number(c.req.header('last-event-id') ?? 0);
    return eventStream(c, driver(c, id), Number.isSafeInteger(last) ? last : 0);
  });

const wantsEvents = (c: Context<AppEnv>): boolean =>
  (c.req.header('accept') ?? '').toLowerCase().includes('text/event-stream');

const driver =
  (c: Context<AppEnv>, question: string) =>
  (listener: Pick<Run, 'signal' | 'onEvent' | 'onNotice'>, last: number): Promise<void> => {
    const reader = c.get('reader');
    return follow(
      { session: c.get('session'), question, backend: reader, answerer: reader, ...listener },
      last,
    );
  };

/** For clients without server-sent events: the question once it is over. */
async function answered(c: Context<AppEnv>, id: string): Promise<Response> {
  const drive = driver(c, id)({ signal: c.req.raw.signal, onEvent: () => {}, onNotice: () => {} }, 0);
  c.executionCtx.waitUntil(drive.catch(() => {}));
  await drive;
  const question = await c.get('session').question(id);
  if (!question) throw notFound('question');
  const location = `/v1/sessions/${c.get('sessionId')}/questions/${id}`;
  if (question.status !== 'failed') return c.json(view(question), 200, { location });
  const problem = question.result as { status: number };
  return c.body(JSON.stringify(problem), problem.status as 500, {
    'content-type': 'application/problem+json',
  });
}

/** A question as clients see it. In a tournament the evidence is known only at its end. */
function view({ id, question, mode, status, created, input, state, result }: QuestionInfo) {
  const settled = mode === 'sequential' || state?.scan.done;
  return {
    id,
    question,
    mode,
    status,
    created,
    model: state?.model ?? null,
    input,
    read: { windows: state?.scan.windows ?? 0, ...(state?.read ?? { sentences: 0, bytes: 0 }) },
    round: state?.scan.round ?? 0,
    result: status === 'completed' ? result : null,
    problem: status === 'failed' ? result : null,
    evidence: settled && state ? evidenceOf(state) : [],
  };
}

/**
 * Refuses before anything is stored; what the tokenizer lets through and the model does not ends the run instead. So does a model that
 * does not answer: the run can wait for it, and tells its listener.
 */
async function expectShort(reader: Reader, question: string): Promise<void> {
  const description = reader.describe().catch(() => undefined);
  const late = new Promise<undefined>((resolve) => setTimeout(resolve, DESCRIBE_MS));
  const limit = (await Promise.race([description, late]))?.max_question_tokens;
  if (limit === undefined) return;
  const [tokens] = await reader.countTokens([question]);
  if (tokens! > limit) throw new QuestionTooLong(tokens!, limit);
}

const nothingToRead = new Problem(
  409,
  'nothing-to-read',
  'The session holds no text',
  'A question needs at least one complete document.',
  'Send a document first: POST /v1/sessions/{session}/documents.',
);
