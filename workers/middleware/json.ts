import type { Context } from 'hono';
import type { ZodType } from 'zod';
import type { AppEnv } from '../env.ts';
import { Problem } from './problem.ts';

/** A question and its options; documents have a path of their own, without a limit. */
export const JSON_BYTES = 256 * 1024;

/** The body as `schema` wants it. Reads no more than the limit: the content length alone is the client's word. */
export async function readJson<T>(c: Context<AppEnv>, schema: ZodType<T>): Promise<T> {
  const type = c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/json') {
    throw new Problem(
      415,
      'not-json',
      'The body must be JSON',
      'This path takes application/json.',
      'Send the header content-type: application/json.',
    );
  }
  const parsed = schema.safeParse(parse(await readLimited(c.req.raw.body)));
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((i) => ({ member: i.path.join('.'), message: i.message }));
  const { member, message } = issues[0]!;
  throw new Problem(
    422,
    'invalid-body',
    'The body does not fit',
    `${member || 'The body'}: ${message}`,
    'Correct the members named in `issues`.',
    { issues },
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Problem(
      400,
      'bad-json',
      'The body is not JSON',
      'The body could not be parsed.',
      'Send one JSON object in UTF-8, such as {"question": "…"}.',
    );
  }
}

async function readLimited(body: ReadableStream<Uint8Array> | null): Promise<string> {
  if (!body) return '';
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    if (bytes > JSON_BYTES) {
      throw new Problem(
        413,
        'body-too-large',
        'The body is too large',
        `This path takes at most ${JSON_BYTES} bytes.`,
        'Send long text as a document: POST /v1/sessions/{session}/documents takes any length.',
        { limit: JSON_BYTES },
      );
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
