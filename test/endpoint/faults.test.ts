import { afterEach, describe, expect, test } from 'vitest';
import { type BackendDescription, QuestionTooLong } from '../../shared/attention.ts';
import { estimateTokens } from '../../workers/attention/endpoint/estimate.ts';
import {
  BackendProtocol,
  BackendUnavailable,
  BackendWarming,
  createEndpointBackend,
  type EndpointOptions,
} from '../../workers/attention/endpoint/index.ts';
import { fakeTiming } from './clock.ts';
import { cut, json, type Reply, reset, scores, serve, stall, text } from './server.ts';

const SECRET = 'hf_a_token';
const QUESTION = 'Who keeps the key?';
const windows = [{ sentences: ['The key is kept. ', 'By Ada. '] }, { sentences: ['It rained.'] }];

let close = () => {};
afterEach(() => close());

async function against(replies: Reply[], options: Partial<EndpointOptions> = {}, path = '') {
  const server = await serve(...replies);
  close = server.close;
  const timing = fakeTiming();
  const url = server.url + path;
  // Real time, not the test's: short only where a reply never comes.
  const timeoutMs = replies.includes(stall) ? 200 : 10_000;
  const backend = createEndpointBackend({ url, token: SECRET, timing, timeoutMs, ...options });
  return {
    backend,
    received: server.received,
    timing,
    score: () => backend.score({ question: QUESTION, windows }),
  };
}

const importance = (scored: Awaited<ReturnType<Awaited<ReturnType<typeof against>>['score']>>) =>
  scored.windows.map((w) => w.sentences.map((s) => [...s.importance]));

const expected = [
  [
    [3, 3, 2, 5, 0],
    [2, 4, 0],
  ],
  [[2, 7]],
];

describe('a call', () => {
  test('to an Inference Endpoint carries inputs, parameters and the token', async () => {
    const { score, received, backend } = await against([scores], { parameters: { layer: 'middle' } });
    expect(importance(await score())).toEqual(expected);
    expect(received).toEqual([
      {
        method: 'POST',
        path: '/',
        authorization: `Bearer ${SECRET}`,
        body: { inputs: { question: QUESTION, windows }, parameters: { layer: 'middle' } },
      },
    ]);
    expect(await backend.describe()).toMatchObject({ model: 'a/model', max_question_tokens: 512 });
  });

  test('to a server goes to its paths', async () => {
    const { score, received } = await against([scores], {}, '/v1/');
    expect(importance(await score())).toEqual(expected);
    expect(received[0]).toMatchObject({ path: '/v1/score', body: { question: QUESTION, windows } });
  });

  test('to the embedded reader elsewhere counts with its own tokenizer, to any other model by estimate', async () => {
    const embedded = (model: string) => ({
      describe: async () => ({ model }) as BackendDescription,
      countTokens: async (sentences: string[]) => sentences.map(() => 7),
    });
    const same = await against([scores], { embedded: embedded('a/model') });
    expect(await same.backend.countTokens(['One.', 'Two and three.'])).toEqual([7, 7]);
    close();
    const other = await against([scores], { embedded: embedded('another') });
    expect(await other.backend.countTokens(['One.', 'Two and three.'])).toEqual(
      ['One.', 'Two and three.'].map(estimateTokens),
    );
  });

  test('is split by bytes and windows; the order stays', async () => {
    const { backend, received } = await against([scores], { maxBytes: 60, maxWindows: 2 });
    const many = Array.from({ length: 9 }, (_, i) => ({ sentences: ['x'.repeat(i + 1)] }));
    const scored = await backend.score({ question: QUESTION, windows: many });
    expect(importance(scored)).toEqual(many.map((_, i) => [[i + 1]]));
    expect(received.length).toBe(5);
  });

  test('that is too large is halved', async () => {
    const tooLarge: Reply = (response, call) =>
      (call.body.inputs.windows.length > 1 ? json({ error: 'payload' }, 413) : scores)(response, call);
    const { score, received } = await against([tooLarge]);
    expect(importance(await score())).toEqual(expected);
    expect(received.length).toBe(3);
  });
});

describe('the scores arrive after', () => {
  const wrong = (windows: unknown): Reply => json({ windows });
  const page = '<html>Who keeps the key?</html>';
  const faults: Record<string, Reply[]> = {
    '503 four times': Array.from({ length: 4 }, () => json({ error: 'loading' }, 503)),
    'a gateway page with 400': [text(page, 'text/html', 400)],
    'JSON cut short': [text('{"windows":[{"sen', 'application/json')],
    'a body cut short': [cut],
    'a page instead of JSON': [text(page, 'text/html')],
    'too few windows': [wrong([])],
    'too few sentences': [
      wrong([
        { sentences: [], sink: 0 },
        { sentences: [], sink: 0 },
      ]),
    ],
    'a NaN': [
      wrong(windows.map((w) => ({ sentences: w.sentences.map(() => ({ importance: 'AH4=' })), sink: 0 }))),
    ],
    'a stall': [stall],
    'a connection reset': [reset],
    'an out-of-band error that may pass': [
      json({ error: { code: 'internal', message: page, retryable: true } }),
    ],
  };
  test.each(Object.keys(faults))('%s', async (name) => {
    const { score, received } = await against([...faults[name]!, scores]);
    expect(importance(await score())).toEqual(expected);
    expect(received.length).toBe(faults[name]!.length + 1);
  });

  test('429, when Retry-After has passed', async () => {
    const { score, timing } = await against([json({}, 429, { 'retry-after': '7' }), scores]);
    expect(importance(await score())).toEqual(expected);
    expect(timing.time).toBeGreaterThanOrEqual(7000);
  });
});

describe('a failure that stays', () => {
  const reported = (code: string) => json({ error: { code, message: `read ${QUESTION}`, retryable: false } });
  const cases: [string, Reply, new (...args: never[]) => Error, boolean][] = [
    ['503', json({ error: QUESTION }, 503), BackendWarming, true],
    ['a stall', stall, BackendUnavailable, true],
    ['429 for an hour', json({}, 429, { 'retry-after': '3600' }), BackendUnavailable, true],
    ['a wrong token', json({ error: SECRET }, 401), BackendUnavailable, false],
    ['a refusal', reported('invalid_request'), BackendUnavailable, false],
    ['JSON cut short', text(`{"question":"${QUESTION}`, 'application/json'), BackendProtocol, true],
    ['a question too long', reported('question_too_long'), QuestionTooLong, false],
  ];
  test.each(cases)('%s has its own error, without text or token', async (_, reply, type, returns) => {
    const { score, received } = await against([reply]);
    const error = await score().catch((e) => e);
    expect(error).toBeInstanceOf(type);
    expect(error.retryAfterSeconds !== undefined).toBe(returns);
    const everything = `${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`;
    expect(everything).not.toContain(QUESTION);
    expect(everything).not.toContain(SECRET);
    if (!returns) expect(received.length).toBe(1);
  });
});
