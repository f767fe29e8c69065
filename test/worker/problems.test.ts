import { describe, expect, it } from 'vitest';
import { ask, newSession, question, request, sendDocument, voyage } from './api.ts';

/** Every refusal is a problem of this name that says how to mend it, and leaves the session usable. */
async function expectProblem(response: Response, status: number, name: string) {
  expect(response.status).toBe(status);
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  const problem = (await response.json()) as Record<string, unknown>;
  expect(problem).toMatchObject({ type: `urn:sluice:problem:${name}`, status });
  expect(problem.detail).toBeTruthy();
  expect(problem.hint).toBeTruthy();
  return problem;
}

const nowhere = '00000000-0000-4000-8000-000000000000';

describe('documents that are refused', () => {
  it.each([
    ['empty', new Uint8Array(0), 'empty-document'],
    ['blank', new TextEncoder().encode(' \n\t \n'), 'empty-document'],
    ['binary', new Uint8Array([0x50, 0x4b, 3, 4, 0, 0, 1, 2]), 'binary-document'],
    ['not UTF-8', new Uint8Array([0x63, 0x61, 0x66, 0xe9, 0x20, 0x2e]), 'invalid-utf8'],
  ])('%s', async (_, body, name) => {
    const session = await newSession();
    const problem = await expectProblem(await sendDocument(session, body), 422, name);
    if (name === 'invalid-utf8') expect(problem.byte).toBe(3);
    expect(await (await request(`/${session}`)).json()).toMatchObject({ documents: [] });
  });

  it('of another content type', async () => {
    const session = await newSession();
    const pdf = await sendDocument(session, 'x', { 'content-type': 'application/pdf' });
    await expectProblem(pdf, 415, 'not-text');
    const latin = await sendDocument(session, 'x', { 'content-type': 'text/plain; charset=latin1' });
    await expectProblem(latin, 415, 'not-text');
  });

  it('broken off after many blocks: nothing of it stays', async () => {
    const session = await newSession();
    const text = new TextEncoder().encode(voyage(20_000));
    const body = new Uint8Array([...text, 0xff, 0xff]);
    const problem = await expectProblem(await sendDocument(session, body), 422, 'invalid-utf8');
    expect(problem.byte).toBe(text.length);
    await expectProblem(await ask(session, { question }), 409, 'nothing-to-read');
  });
});

describe('questions that are refused', () => {
  it.each([
    ['empty', { question: ' ' }, 422, 'invalid-body'],
    ['in no known mode', { question, mode: 'sideways' }, 422, 'invalid-body'],
    ['longer than the model takes', { question: 'why '.repeat(40) }, 422, 'question-too-long'],
    ['longer than a body may be', { question: 'why '.repeat(100_000) }, 413, 'body-too-large'],
  ])('%s', async (_, body, status, name) => {
    const session = await newSession();
    await sendDocument(session, voyage(5));
    const problem = await expectProblem(await ask(session, body), status, name);
    if (name === 'question-too-long') expect(problem).toMatchObject({ tokens: 40, limit: 32 });
    expect(JSON.stringify(problem)).not.toContain('why why');
  });

  it('that are not JSON', async () => {
    const session = await newSession();
    const post = (contentType: string) =>
      request(`/${session}/questions`, {
        method: 'POST',
        headers: { 'content-type': contentType },
        body: '{"que',
      });
    await expectProblem(await post('application/json'), 400, 'bad-json');
    await expectProblem(await post('text/plain'), 415, 'not-json');
  });

  it('of a session without documents', async () => {
    await expectProblem(await ask(await newSession(), { question }), 409, 'nothing-to-read');
  });
});

describe('what is not there', () => {
  it.each([`/${nowhere}`, '/anything', `/${nowhere}/documents/x`, `/${nowhere}/questions/x`])(
    '%s',
    async (path) => {
      await expectProblem(await request(path), 404, 'unknown-session');
    },
  );

  it('documents, questions and paths', async () => {
    const session = await newSession();
    await expectProblem(await request(`/${session}/documents/x`), 404, 'unknown-document');
    await expectProblem(await request(`/${session}/documents/x/text`), 404, 'unknown-document');
    await expectProblem(await request(`/${session}/questions/x`), 404, 'unknown-question');
    await expectProblem(await request(`/${session}/questions/x/events`), 404, 'unknown-question');
    await expectProblem(await request(`/${session}/elsewhere`), 404, 'unknown-path');
  });

  it('ranges that are none', async () => {
    const session = await newSession();
    const { id } = (await (await sendDocument(session, 'Short.')).json()) as { id: string };
    for (const range of ['start=-1', 'start=5&end=4', 'start=x', 'start=0&end=9999999']) {
      await expectProblem(await request(`/${session}/documents/${id}/text?${range}`), 400, 'bad-range');
    }
    expect(await (await request(`/${session}/documents/${id}/text?start=3&end=99`)).text()).toBe('rt.');
  });
});
