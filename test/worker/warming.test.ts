import { abortAllDurableObjects, env, runInDurableObject } from 'cloudflare:test';
import { afterEach, describe, expect, it } from 'vitest';
import { LEASE_MS } from '../../durable-objects/questions.ts';
import { createChatAnswerer } from '../../workers/answer/chat/index.ts';
import { createEndpointBackend } from '../../workers/attention/endpoint/index.ts';
import { realTiming } from '../../workers/attention/endpoint/upstream.ts';
import { ask, events, needle, newSession, question, request, sendDocument, voyage } from './api.ts';
import { knobs, overlap } from './overlap.ts';

const sse = { accept: 'text/event-stream' };
const modes = ['sequential', 'tournament'];

interface Fault {
  /** Which calls fail, counted from 1 over describe and score. */
  failing: (call: number) => boolean;
  status?: number;
  model?: (call: number) => string;
  atOnce?: number;
}

/** An endpoint behind the product's client; it attends to the question's words, as the small reader does. */
function endpoint({ failing, status = 503, model = () => 'm', atOnce = 1 }: Fault) {
  const sizes: number[] = [];
  let calls = 0;
  const fetch = async (_: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const call = ++calls;
    if (failing(call)) return Response.json({}, { status, headers: { 'retry-after': '1' } });
    const { inputs } = JSON.parse(String(init?.body));
    if (inputs.task === 'describe') {
      return Response.json({ model: model(call), max_window_tokens: 1024, windows_at_once: atOnce });
    }
    sizes.push(inputs.windows.length);
    await new Promise((wake) => setTimeout(wake, inputs.windows.length));
    const { windows } = await overlap.score({ question: inputs.question, windows: inputs.windows });
    return Response.json({
      windows: windows.map(({ sentences, sink }) => ({
        sink,
        sentences: sentences.map((s) => ({ importance: halves(s.importance) })),
      })),
    });
  };
  const attention = createEndpointBackend({
    url: 'https://endpoint.example',
    fetch: fetch as typeof globalThis.fetch,
    warmingPatienceMs: 0,
    // No luck in the back-off: each wait is what Retry-After asks for.
    timing: { ...realTiming, random: () => 0 },
    settings: {
      window_tokens: 128,
      cache_tokens: 48,
      evidence_tokens: 48,
      top_tokens: 24,
      phrase_tokens: 4,
      rank: 'mass',
      lexical_weight: 0,
    },
  });
  return { reader: { ...attention, answer: overlap.answer }, sizes, calls: () => calls };
}

/** base64 of float16: powers of two keep the order of the small reader's whole numbers. */
const halves = (values: Float32Array): string => {
  const bits = Uint16Array.from(values, (v) => (v === 0 ? 0 : (15 + Math.round(v)) << 10));
  return btoa(String.fromCharCode(...new Uint8Array(bits.buffer)));
};

const outcome = async (session: string, id: string) =>
  (await (await request(`/${session}/questions/${id}`)).json()) as {
    status: string;
    evidence: { exact: string }[];
    result: { answer: string };
    read: { windows: number };
  };

async function prepare(sentences = 300): Promise<string> {
  const session = await newSession();
  await sendDocument(session, voyage(sentences));
  return session;
}

/** As if the driver had died some time ago: its lease has run out. */
const expireLease = (session: string) =>
  runInDurableObject(env.SESSIONS.getByName(session), (_, ctx) => {
    ctx.storage.sql.exec('UPDATE question SET due = due - ?', LEASE_MS);
  });

afterEach(() => {
  knobs.reader = overlap;
  knobs.onWindow = async () => {};
  knobs.windows = 0;
});

describe.each(modes)('a %s run over an endpoint that is starting', (mode) => {
  it('tells its listener, waits, and answers as from a warm one', async () => {
    knobs.reader = endpoint({ failing: () => false }).reader;
    const warm = await events(await ask(await prepare(), { question, mode }, sse));
    const cold = endpoint({ failing: (n) => n <= 4 });
    knobs.reader = cold.reader;
    const session = await prepare();
    const told = await events(await ask(session, { question, mode }, sse));
    const waits = told.filter((e) => e.event === 'backend.warming');
    expect(waits.length).toBeGreaterThanOrEqual(3);
    for (const { data } of waits) expect(data.retry_after_seconds).toBeGreaterThanOrEqual(1);
    const { answer, found, read } = told.at(-1)!.data;
    const { answer: expected, read: whole } = warm.at(-1)!.data;
    expect({ answer, found, read }).toEqual({ answer: expected, found: true, read: whole });
    expect(answer).toBe(needle);
  }, 60_000);

  it('that scales down in the middle goes on from where it was', async () => {
    const { reader, sizes } = endpoint({ failing: (n) => n === 6 || n === 7 });
    knobs.reader = reader;
    const session = await prepare();
    const told = await events(await ask(session, { question, mode }, sse));
    expect(told.filter((e) => e.event === 'backend.warming').length).toBeGreaterThan(0);
    expect(told.at(-1)!.data.answer).toBe(needle);
    expect(told.filter((e) => e.event === 'run.started').length).toBe(1);
    // No window was scored twice.
    expect(sizes.reduce((sum, n) => sum + n, 0)).toBe(told.at(-1)!.data.read.windows);
  }, 60_000);
});

it('without a listener the queue waits for the endpoint, one call at a time', async () => {
  const cold = endpoint({ failing: (n) => n <= 3 });
  knobs.reader = cold.reader;
  const session = await prepare();
  const told = await events(await ask(session, { question }, sse), (e) => e.event === 'backend.warming');
  expect(told.at(-1)!.event).toBe('backend.warming');
  const { questions } = (await (await request(`/${session}`)).json()) as { questions: { id: string }[] };
  const id = questions[0]!.id;
  for (let n = 0; (await outcome(session, id)).status === 'running'; n++) {
    expect(n).toBeLessThan(450);
    await new Promise((wake) => setTimeout(wake, 100));
  }
  expect((await outcome(session, id)).result.answer).toBe(needle);
}, 60_000);

it('a tournament sends the windows of a round together and keeps what one by one keeps, killed or not', async () => {
  const results = [];
  for (const [atOnce, dieAt] of [
    [1, 0],
    [7, 0],
    [7, 21],
  ] as const) {
    knobs.windows = 0;
    knobs.onWindow = async (n) => {
      if (n === dieAt) await abortAllDurableObjects();
    };
    const { reader, sizes } = endpoint({ failing: () => false, atOnce });
    knobs.reader = reader;
    const session = await prepare(900);
    const told = await events(await ask(session, { question, mode: 'tournament' }, sse));
    const id = told[0]!.data.question;
    if (dieAt > 0) {
      expect(told.at(-1)!.event).not.toBe('answer.completed');
      await expireLease(session);
      await events(await request(`/${session}/questions/${id}/events`));
    }
    const { evidence, read } = await outcome(session, id);
    results.push({ evidence: evidence.map((e) => e.exact), read });
    expect(Math.max(...sizes)).toBe(atOnce);
  }
  expect(results[0]!.evidence.length).toBeGreaterThan(0);
  expect(results[1]).toEqual(results[0]);
  expect(results[2]).toEqual(results[0]);
});

describe('a run fails with a reason', () => {
  it('when the endpoint refuses before the first window', async () => {
    knobs.reader = endpoint({ failing: () => true, status: 401 }).reader;
    const session = await prepare(20);
    const told = await events(await ask(session, { question }, sse));
    expect(told.map((e) => e.event)).toEqual(['run.failed']);
    expect(told[0]!.data.type).toBe('urn:sluice:problem:backend-failed');
  });

  it('when the model changed while it rested', async () => {
    knobs.reader = endpoint({ failing: (n) => n >= 6 }).reader;
    const session = await prepare(300);
    const told = await events(await ask(session, { question }, sse), (e) => e.event === 'backend.warming');
    const id = told[0]!.data.question;
    knobs.reader = endpoint({ failing: () => false, model: () => 'another' }).reader;
    const rest = await events(await request(`/${session}/questions/${id}/events`));
    expect(rest.at(-1)).toMatchObject({
      event: 'run.failed',
      data: { type: 'urn:sluice:problem:model-changed', status: 409 },
    });
  }, 30_000);
});

it('tells a written answer as it comes, and stores it whole', async () => {
  const writer = createChatAnswerer({
    model: async function* (messages) {
      const line = messages[1]!.content.split('\n').find((l) => l.includes('compass'))!;
      yield 'In the third ';
      yield `barrel [${/\d+/.exec(line)![0]}].`;
    },
  });
  knobs.reader = { ...overlap, answer: writer.answer };
  const session = await prepare(100);
  const told = await events(await ask(session, { question }, sse));
  const deltas = told.filter((e) => e.event === 'answer.delta');
  expect(deltas.length).toBe(2);
  const { answer, citations } = told.at(-1)!.data;
  expect(answer).toBe('In the third barrel [1].');
  expect(deltas.map((e) => e.data.text).join('')).toBe(answer);
  expect(deltas[1]!.data.at).toBe(deltas[0]!.data.text.length);
  expect(citations).toMatchObject([{ exact: needle }]);
  const again = await events(await request(`/${session}/questions/${told[0]!.data.question}/events`));
  expect(again.map((e) => e.event)).not.toContain('answer.delta');
  expect(again.at(-1)!.data).toEqual(told.at(-1)!.data);
});
