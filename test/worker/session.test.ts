import { env, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';
import { nextAlarm, SESSION_MS, UPLOAD_MS } from '../../durable-objects/alarm.ts';
import type { Block } from '../../durable-objects/types.ts';
import { newSession, request, sendDocument, voyage } from './api.ts';

const stub = (session: string) => env.SESSIONS.getByName(session);
const block = (start: number, text: string): Block => ({
  start,
  text,
  lengths: [text.length],
  code_points: text.length,
  bytes: text.length,
});

describe('appending', () => {
  it('is idempotent block by block, and refuses gaps', async () => {
    const session = stub(await newSession());
    const opened = await session.open({ name: 'log', key: null });
    if ('complete' in opened) throw new Error('complete already');
    const { document, upload } = opened;
    expect(await session.append(document.id, upload, 0, block(0, 'One. '))).toBe(true);
    expect(await session.append(document.id, upload, 0, block(0, 'One. '))).toBe(true);
    expect(await session.append(document.id, upload, 2, block(9, 'Three.'))).toBe(false);
    expect(await session.append(document.id, upload, 1, block(5, 'Two.'))).toBe(true);
    expect(await session.finish(document.id, upload)).toMatchObject({ sentences: 2, code_points: 9 });
    expect(await session.append(document.id, upload, 2, block(9, 'Late.'))).toBe(false);
    expect(await session.readText(document.id, 3, 7)).toBe('. Tw');
  });

  it('with the same Idempotency-Key stores a document once', async () => {
    const session = await newSession();
    const key = { 'idempotency-key': 'log of May' };
    const first = await sendDocument(session, voyage(20), key);
    const again = await sendDocument(session, voyage(20), key);
    expect([first.status, again.status]).toEqual([201, 200]);
    expect(await again.json()).toEqual(await first.json());
  });

  it('begins an interrupted document anew under its id', async () => {
    const session = await newSession();
    const opened = await stub(session).open({ name: 'log', key: 'k' });
    if ('complete' in opened) throw new Error('complete already');
    await stub(session).append(opened.document.id, opened.upload, 0, block(0, 'Half a'));
    const sent = await sendDocument(session, 'The whole of it.', { 'idempotency-key': 'k' });
    expect(await sent.json()).toMatchObject({ id: opened.document.id, code_points: 16 });
    expect(await stub(session).append(opened.document.id, opened.upload, 1, block(6, ' log'))).toBe(false);
  });

  it('gives back any range of a text of many blocks', async () => {
    const session = await newSession();
    const text = voyage(30_000);
    const { id } = (await (await sendDocument(session, text)).json()) as { id: string };
    const points = Array.from(text);
    for (const start of [0, 200_000, 261_000, points.length - 500]) {
      const end = Math.min(points.length, start + 20_000);
      const response = await request(`/${session}/documents/${id}/text?start=${start}&end=${end}`);
      expect((await response.text()) === points.slice(start, end).join('')).toBe(true);
    }
  });
});

describe('the alarm', () => {
  it('waits for whatever comes first', () => {
    expect(nextAlarm({ used: 5, oldestOpen: null, nextDue: null })).toBe(5 + SESSION_MS);
    expect(nextAlarm({ used: 5, oldestOpen: 7, nextDue: null })).toBe(7 + UPLOAD_MS);
    expect(nextAlarm({ used: 5, oldestOpen: 7, nextDue: 9 })).toBe(9);
  });

  it('deletes a session that nobody has used for a day', async () => {
    const session = await newSession();
    await sendDocument(session, voyage(5));
    await runDurableObjectAlarm(stub(session));
    expect((await request(`/${session}`)).status).toBe(200);
    await runInDurableObject(stub(session), (_, ctx) => {
      ctx.storage.sql.exec('UPDATE session SET used = used - ?', SESSION_MS);
    });
    await runDurableObjectAlarm(stub(session));
    expect((await request(`/${session}`)).status).toBe(404);
  });

  it('drops an upload that stopped, not its session', async () => {
    const session = await newSession();
    await stub(session).open({ name: 'stopped', key: null });
    await runInDurableObject(stub(session), (_, ctx) => {
      ctx.storage.sql.exec('UPDATE document SET touched = touched - ?', UPLOAD_MS + 1);
    });
    await runDurableObjectAlarm(stub(session));
    expect(await (await request(`/${session}`)).json()).toMatchObject({ documents: [] });
  });
});
