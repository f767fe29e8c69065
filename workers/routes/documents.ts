import { Hono } from 'hono';
import type { AppEnv } from '../env.ts';
import { notFound, Problem } from '../middleware/problem.ts';
import { withSession } from '../middleware/session.ts';
import { store } from './upload.ts';

/** Code points of one text range: at most 1 MB of UTF-8. */
const RANGE = 256 * 1024;
const NAME = 200;

/** Documents of a session: sent as a stream, read back by ranges of code points. */
export const documents = new Hono<AppEnv>()
  .use(withSession)
  .post('/', async (c) => {
    const body = c.req.raw.body;
    try {
      expectText(c.req.header('content-type'));
      const name = (c.req.query('name') ?? 'document').slice(0, NAME);
      const opened = await c.get('session').open({ name, key: c.req.header('idempotency-key') ?? null });
      if ('complete' in opened) {
        await body?.cancel();
        return c.json(opened.complete);
      }
      const document = await store(c.get('session'), opened, body);
      const location = `/v1/sessions/${c.get('sessionId')}/documents/${document.id}`;
      return c.json(document, 201, { location });
    } catch (error) {
      // Otherwise a client that is still sending never reads the answer.
      if (body && !body.locked) await body.cancel().catch(() => {});
      throw error;
    }
  })
  .get('/:document', async (c) => {
    const document = await c.get('session').document(c.req.param('document'));
    if (!document) throw notFound('document');
    return c.json(document);
  })
  .get('/:document/text', async (c) => {
    const { start, end } = range(c.req.query('start'), c.req.query('end'));
    const text = await c.get('session').readText(c.req.param('document'), start, end);
    if (text === null) throw notFound('document');
    return c.text(text);
  });

function expectText(contentType: string | undefined): void {
  const [type, ...parameters] = (contentType ?? '').toLowerCase().split(';');
  const charset = parameters.map((p) => p.trim()).find((p) => p.startsWith('charset='));
  const utf8 = charset === undefined || /^charset="?(utf-?8|us-ascii)"?$/.test(charset);
  if (type?.trim() === 'text/plain' && utf8) return;
  throw new Problem(
    415,
    'not-text',
    'The document must be plain text',
    'This path takes text/plain in UTF-8.',
    'Send the header content-type: text/plain; charset=utf-8, and convert other formats to text first.',
  );
}

function range(from: string | undefined, to: string | undefined): { start: number; end: number } {
  const start = Number(from ?? 0);
  const end = Number(to ?? start + RANGE);
  const whole = Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0;
  if (whole && end >= start && end - start <= RANGE) return { start, end };
  throw new Problem(
    400,
    'bad-range',
    'The range does not fit',
    '`start` and `end` are whole numbers of code points, `end` exclusive and not before `start`.',
    `Ask for at most ${RANGE} code points at a time.`,
    { limit: RANGE },
  );
}
