import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { configuredChat, createChatAnswerer } from '../workers/answer/chat/index.ts';
import {
  BackendError,
  BackendUnavailable,
  BackendWarming,
  createEndpointBackend,
} from '../workers/attention/endpoint/index.ts';
import { readVariables, type Variables } from './variables.ts';

// `npm run doctor`: says what is configured and whether it answers. Shows hosts and models, never a token.

interface Finding {
  ok: boolean;
  lines: string[];
}

const root = join(import.meta.dirname, '..');

const bad = (...lines: string[]): Finding => ({ ok: false, lines });
const good = (...lines: string[]): Finding => ({ ok: true, lines });

/** A URL as it may be shown: without user, password, or query. */
function shown(name: string, value: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:') {
    throw new Error(`${name} is no URL that starts with https:// or http://`);
  }
  return url.origin + url.pathname.replace(/\/$/, '');
}

function remedy(error: unknown, token: string): string[] {
  if (!(error instanceof BackendError)) return [(error as Error).message];
  const { message, retryAfterSeconds } = error;
  const status = error instanceof BackendUnavailable ? error.status : undefined;
  if (status === 404 || status === 405) {
    return [
      message,
      'Check the URL: that of inference/server.py ends in /v1, that of an Inference Endpoint has no path',
    ];
  }
  if (retryAfterSeconds === undefined) return [message, `Check the URL and ${token}`];
  if (error instanceof BackendWarming) return [`${message}; runs wait for it. Try again in a minute`];
  return [message, 'Is it running, and reachable from here?'];
}

async function checkAttention({ ATTENTION_URL, ATTENTION_TOKEN }: Variables): Promise<Finding> {
  if (!ATTENTION_URL) {
    return good(
      'the embedded reader, inside the Worker',
      'For a GPU set ATTENTION_URL (and ATTENTION_TOKEN)',
    );
  }
  try {
    const where = shown('ATTENTION_URL', ATTENTION_URL);
    const started = performance.now();
    const backend = createEndpointBackend({ url: ATTENTION_URL, token: ATTENTION_TOKEN, patienceMs: 0 });
    const { model, settings } = await backend.describe();
    const milliseconds = Math.round(performance.now() - started);
    const lines = [
      `${model} at ${where}`,
      `It answers in ${milliseconds} ms; windows of ${settings.window_tokens} tokens`,
    ];
    const { model: own } = JSON.parse(await readFile(join(root, 'reader/assets/manifest.json'), 'utf8'));
    if (model === own) lines.push('It is the embedded reader itself: windows are cut at the same places');
    const open = where.startsWith('http:') && !/^http:\/\/(localhost|127\.|\[::1\])/.test(where);
    if (open) lines.push('The text travels unencrypted: use https:// outside of your own network');
    return good(...lines);
  } catch (error) {
    return bad(...remedy(error, 'ATTENTION_TOKEN'));
  }
}

async function checkAnswer({ ANSWER_URL, ANSWER_MODEL, ANSWER_TOKEN }: Variables): Promise<Finding> {
  if (!ANSWER_URL && !ANSWER_MODEL) {
    return good(
      'the embedded reader: the words of the text itself',
      'For written answers set ANSWER_MODEL or ANSWER_URL',
    );
  }
  if (!ANSWER_URL && ANSWER_MODEL?.startsWith('@')) {
    return /^\[ai\]/m.test(await readFile(join(root, 'wrangler.toml'), 'utf8'))
      ? good(`${ANSWER_MODEL} on Workers AI`, 'Not tried: its binding exists only inside the Worker')
      : bad(
          `${ANSWER_MODEL} is on Workers AI, and wrangler.toml has no binding for it`,
          'Take the marks from the lines [ai] and binding = "AI" there; npm run ask has no Workers AI',
        );
  }
  if (!ANSWER_URL && !ANSWER_TOKEN)
    return bad(`${ANSWER_MODEL} is reached through Hugging Face: set ANSWER_TOKEN`);
  try {
    const where = ANSWER_URL ? shown('ANSWER_URL', ANSWER_URL) : "Hugging Face's router";
    const model = configuredChat({ ANSWER_URL, ANSWER_MODEL, ANSWER_TOKEN })!;
    const answerer = createChatAnswerer({ model, patienceMs: 0 });
    const evidence = ['The ferry sails at noon.', 'Its captain is called Mira Olt.'];
    const { spans } = await answerer.answer({ question: "What is the captain's name?", evidence });
    const name = `${ANSWER_MODEL ?? 'the model'} at ${where}`;
    return spans.some((span) => span.sentence === 1)
      ? good(name, 'It answers and cites')
      : bad(
          name,
          'It answers, but did not cite a plain sentence: such answers count as not found. Take a larger model',
        );
  } catch (error) {
    return bad(...remedy(error, 'ANSWER_TOKEN'));
  }
}

const variables = await readVariables();
const findings = [
  ['Attention', await checkAttention(variables)],
  ['Answers', await checkAnswer(variables)],
] as const;
for (const [title, { ok, lines }] of findings) {
  console.log(`${ok ? '✓' : '✗'} ${title}: ${lines.join('\n    ')}`);
}
process.exitCode = findings.every(([, { ok }]) => ok) ? 0 : 1;
