import { describe, expect, it } from 'vitest';
import { ask, events, needle, newSession, question, request, sendDocument, voyage } from './api.ts';

describe('asking a document', () => {
  for (const mode of ['sequential', 'tournament']) {
    it(`finds the needle in ${mode} mode, with a citation that is in the text`, async () => {
      const session = await newSession();
      const text = voyage(600);
      const sent = await sendDocument(session, text);
      expect(sent.status).toBe(201);
      const document = (await sent.json()) as { id: string; code_points: number; bytes: number };
      expect(document).toMatchObject({
        complete: true,
        code_points: Array.from(text).length,
        bytes: new TextEncoder().encode(text).length,
      });

      const told = await events(await ask(session, { question, mode }, { accept: 'text/event-stream' }));
      expect(told.map((e) => e.event)).toEqual(
        expect.arrayContaining(['run.started', 'window.scored', 'evidence.updated', 'answer.completed']),
      );
      expect(told.map((e) => e.id)).toEqual(told.map((_, i) => i + 1));
      const result = told.at(-1)!.data;
      expect(result).toMatchObject({ answer: needle, found: true });
      expect(result.read).toMatchObject({ bytes: document.bytes });

      const [citation] = result.citations;
      expect(Array.from(text).slice(citation.start, citation.end).join('')).toBe(citation.exact);
      const range = `start=${citation.start - 32}&end=${citation.end + 32}`;
      const context = await request(`/${session}/documents/${document.id}/text?${range}`);
      expect(await context.text()).toBe(citation.prefix + citation.exact + citation.suffix);
    });
  }

  it('answers in JSON where the client takes no events, and shows the question with its evidence', async () => {
    const session = await newSession();
    await sendDocument(session, voyage(50));
    const response = await ask(session, { question });
    expect(response.status).toBe(200);
    const asked = (await response.json()) as {
      id: string;
      evidence: { exact: string; relevance: number }[];
    };
    expect(asked).toMatchObject({ status: 'completed', result: { answer: needle, found: true } });
    const [best] = asked.evidence.toSorted((a, b) => b.relevance - a.relevance);
    expect(best!.exact.trimEnd()).toBe(needle);
    expect(await (await request(`/${session}/questions/${asked.id}`)).json()).toEqual(asked);
  });

  it('says so when the text does not tell', async () => {
    const session = await newSession();
    await sendDocument(session, voyage(50));
    const response = await ask(session, { question: 'Who invented the telephone?' });
    expect(await response.json()).toMatchObject({
      result: { found: false, answer: '', citations: [], read: { sentences: 50 } },
    });
  });

  it('reads several documents in order, as they stood when it was asked', async () => {
    const session = await newSession();
    await sendDocument(session, voyage(40));
    await sendDocument(session, 'Another log. The lighthouse keeper was called Marit.');
    const response = await ask(session, { question: 'What was the lighthouse keeper called?' });
    expect(await response.json()).toMatchObject({
      result: { answer: 'The lighthouse keeper was called Marit.', read: { sentences: 42 } },
    });
  });

  it('takes 1 MB without a sentence end', async () => {
    const session = await newSession();
    const sent = await sendDocument(session, 'a'.repeat(1024 * 1024));
    expect(await sent.json()).toMatchObject({ code_points: 1024 * 1024 });
    expect((await ask(session, { question, mode: 'tournament' })).status).toBe(200);
  });

  it('deletes a session whole', async () => {
    const session = await newSession();
    await sendDocument(session, voyage(5));
    expect((await request(`/${session}`, { method: 'DELETE' })).status).toBe(204);
    expect((await request(`/${session}`)).status).toBe(404);
  });
});
