import {
  abortAllDurableObjects,
  env,
  evictDurableObject,
  runDurableObjectAlarm,
  runInDurableObject,
} from 'cloudflare:test';
import { afterEach, describe, expect, it } from 'vitest';
import { LEASE_MS } from '../../durable-objects/questions.ts';
import { ask, events, newSession, question, request, sendDocument, voyage } from './api.ts';
import { knobs } from './overlap.ts';

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

async function prepare(sentences: number) {
  const session = await newSession();
  const { id: document } = (await (await sendDocument(session, voyage(sentences))).json()) as { id: string };
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
