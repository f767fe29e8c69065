import {
  abortAllDurableObjects,
  env,
  evictDurableObject,
  runDurableObjectAlarm,
  runInDurableObject,
} from 'cloudflare:test';
import { afterEach, describe, expect, it } from 'vitest';
import { LEASE_MS } from '../../durable-objects/questions.ts';
import { ask, chain, events, newSession, question, request, sendDocument, voyage } from './api.ts';
import { doubting, knobs, overlap } from './overlap.ts';

const sse = { accept: 'text/event-stream' };
const stub = (session: string) => env.SESSIONS.getByName(session);

/** The question's outcome without what must differ: ids and times. */
async function outcome(session: string, id: string, document: string) {
  const { result, evidence, read, status } = (await (
    await request(`/${session}/questions/${id}`)
  ).json()) as {
    result: { seconds?: number };
    evidence: unknown;
    read: unknown;
    status: string;
  };
  return JSON.parse(
    JSON.stringify({ result, evidence, read, status }, (k, v) => (k === 'seconds' ? 0 : v)).replaceAll(
      document,
      'D',
    ),
  );
}

async function prepare(text: number | string) {
  const session = await newSession();
  const body = typeof text === 'string' ? text : voyage(text);
  const { id: document } = (await (await sendDocument(session, body)).json()) as { id: string };
  return { session, document };
}

/** Waits until the question is over, without driving it. */
async function settled(session: string, id: string): Promise<void> {
  for (;;) {
    const { status } = (await (await request(`/${session}/questions/${id}`)).json()) as { status: string };
    if (status !== 'running') return;
    await new Promise((wake) => setTimeout(wake, 20));
  }
}

/** As if the driver had died some time ago: its lease has run out. */
const expireLease = (session: string) =>
  runInDurableObject(stub(session), (_, ctx) => {
    ctx.storage.sql.exec('UPDATE question SET due = due - ?', LEASE_MS);
  });

const slow = async () => new Promise<void>((wake) => setTimeout(wake, 30));

afterEach(() => {
  knobs.reader = overlap;
  knobs.onWindow = async () => {};
  knobs.windows = 0;
});

describe.each(['sequential', 'tournament'])('a %s run', (mode) => {
  it('that dies at any point goes on to the same result', async () => {
    const whole = await prepare(900);
    const told = await events(await ask(whole.session, { question, mode }, sse));
    const expected = await outcome(whole.session, told[0]!.data.question, whole.document);
    expect(expected.status).toBe('completed');

    for (const dieAt of [1, 31, 45, 70]) {
      const { session, document } = await prepare(900);
      knobs.windows = 0;
      knobs.onWindow = async (n) => {
        if (n === dieAt) await abortAllDurableObjects();
      };
      const broken = await events(await ask(session, { question, mode }, sse));
      const id = broken[0]!.data.question;
      expect(broken.at(-1)!.event).not.toBe('answer.completed');
      await expireLease(session);
      const rest = await events(await request(`/${session}/questions/${id}/events`));
      expect(rest.at(-1)!.event).toBe('answer.completed');
      expect(await outcome(session, id, document)).toEqual(expected);
    }
  });

  it('that looks a second time and dies, or is left, goes on to the same result', async () => {
    knobs.reader = doubting;
    const text = chain.text(600);
    const whole = await prepare(text);
    const told = await events(await ask(whole.session, { question: chain.question, mode }, sse));
    const expected = await outcome(whole.session, told[0]!.data.question, whole.document);
    const { windows } = told.at(-1)!.data.read;
    expect(expected).toMatchObject({ status: 'completed', result: { answer: chain.answer } });
    const { data } = told.find((e) => e.event === 'run.again')!;
    expect(Array.from(text).slice(data.found.start, data.found.end).join('')).toBe(data.found.exact);
    expect(data.found.exact.trimEnd()).toBe(chain.found);
    expect(expected.evidence.map((e: { exact: string }) => e.exact.trimEnd())).toEqual(
      expect.arrayContaining([chain.answer, chain.found]),
    );
    expect(expected.read).toEqual({ windows, sentences: 600, bytes: text.length });

    for (const share of [0.4, 0.52, 0.75, 1]) {
      const { session, document } = await prepare(text);
      const dieAt = Math.round(share * windows);
      knobs.windows = 0;
      knobs.onWindow = async (n) => {
        if (n === dieAt) await abortAllDurableObjects();
      };
      const broken = await events(await ask(session, { question: chain.question, mode }, sse));
      expect(broken.at(-1)!.event).not.toBe('answer.completed');
      await expireLease(session);
      const id = broken[0]!.data.question;
      const path = `/${session}/questions/${id}/events`;
      await events(await request(path));
      expect(await outcome(session, id, document)).toEqual(expected);
      const stored = await events(await request(path));
      expect(stored.filter((e) => e.event === 'run.again')).toHaveLength(1);
    }

    const { session, document } = await prepare(text);
    knobs.onWindow = async (n) => {
      if (n % 8 === 0) await slow();
    };
    const left = await events(
      await ask(session, { question: chain.question, mode }, sse),
      (e) => e.event === 'run.again',
    );
    expect(left.at(-1)!.event).toBe('run.again');
    const id = left[0]!.data.question;
    expect(await outcome(session, id, document)).toMatchObject({ status: 'running' });
    await settled(session, id);
    expect(await outcome(session, id, document)).toEqual(expected);
  }, 20_000);

  it('that is certain of its answer looks no second time', async () => {
    knobs.reader = doubting;
    const { session } = await prepare(60);
    const certain = 'Was the silver compass hidden?';
    const told = await events(await ask(session, { question: certain, mode }, sse));
    expect(told.at(-1)).toMatchObject({ event: 'answer.completed', data: { found: true, confidence: 1 } });
    expect(told.map((e) => e.event)).not.toContain('run.again');
  });
});

describe('a run whose client leaves', () => {
  it('is finished by the queue', async () => {
    const { session } = await prepare(600);
    knobs.onWindow = slow;
    const told = await events(await ask(session, { question }, sse), (e) => e.event === 'window.scored');
    await settled(session, told[0]!.data.question);
    const again = await events(await request(`/${session}/questions/${told[0]!.data.question}/events`));
    expect(again.at(-1)!.event).toBe('answer.completed');
  });

  it('is taken over by the alarm when the handing over died as well', async () => {
    const { session } = await prepare(300);
    const id = await stub(session).ask({ question, mode: 'sequential', key: null });
    await stub(session).claim(id!);
    await expireLease(session);
    await evictDurableObject(stub(session));
    expect(await runDurableObjectAlarm(stub(session))).toBe(true);
    await settled(session, id!);
    expect(await (await request(`/${session}/questions/${id}`)).json()).toMatchObject({
      status: 'completed',
    });
  });

  it('has one driver only: a lease in force is not given twice, a lost one commits nothing', async () => {
    const { session } = await prepare(10);
    const id = (await stub(session).ask({ question, mode: 'sequential', key: null }))!;
    const first = await stub(session).claim(id);
    expect(first.kind).toBe('claimed');
    expect((await stub(session).claim(id)).kind).toBe('held');
    await expireLease(session);
    expect((await stub(session).claim(id)).kind).toBe('claimed');
    if (first.kind !== 'claimed') return;
    expect(await stub(session).renew(id, first.lease)).toBe(false);
  });
});

describe('listening again', () => {
  it('with Last-Event-ID tells what came after, once', async () => {
    const { session } = await prepare(600);
    const told = await events(await ask(session, { question }, sse));
    const id = told[0]!.data.question;
    const after = told.at(-3)!.id;
    const path = `/${session}/questions/${id}/events`;
    const rest = await events(await request(path, { headers: { 'last-event-id': String(after) } }));
    expect(rest.every((e) => e.id > after)).toBe(true);
    expect(rest.at(-1)).toEqual(told.at(-1));
  });

  it('beside a driver hears the same end', async () => {
    const { session } = await prepare(300);
    knobs.onWindow = slow;
    const key = { 'idempotency-key': 'one question' };
    const [a, b] = await Promise.all(
      [0, 1].map(async () => events(await ask(session, { question }, { ...sse, ...key }))),
    );
    expect(b!.at(-1)).toEqual(a!.at(-1));
    expect(a!.at(-1)!.event).toBe('answer.completed');
  });
});
