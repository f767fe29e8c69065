import { SELF } from 'cloudflare:test';
import { createParser } from 'eventsource-parser';

const base = 'http://sluice/v1/sessions';

export const request = (path: string, init?: RequestInit) => SELF.fetch(`${base}${path}`, init);

export async function newSession(): Promise<string> {
  const response = await request('', { method: 'POST' });
  return ((await response.json()) as { id: string }).id;
}

export const sendDocument = (session: string, body: BodyInit, headers: Record<string, string> = {}) =>
  request(`/${session}/documents?name=test`, {
    method: 'POST',
    headers: { 'content-type': 'text/plain; charset=utf-8', ...headers },
    body,
  });

export const ask = (session: string, body: object, headers: Record<string, string> = {}) =>
  request(`/${session}/questions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });

export interface Event {
  id: number;
  event: string;
  // biome-ignore lint/suspicious/noExplicitAny: each event has members of its own.
  data: any;
}

/** The events of a response, until it ends or `enough` says so; then it hangs up. */
export async function events(
  response: Response,
  enough: (event: Event) => boolean = () => false,
): Promise<Event[]> {
  const seen: Event[] = [];
  const parser = createParser({
    onEvent: (e) => seen.push({ id: Number(e.id), event: e.event ?? '', data: JSON.parse(e.data) }),
  });
  const decoder = new TextDecoder();
  for await (const chunk of response.body!) {
    parser.feed(decoder.decode(chunk, { stream: true }));
    const stop = seen.findIndex(enough);
    if (stop >= 0) return seen.slice(0, stop + 1);
  }
  return seen;
}

const filler = [
  'The morning watch saw nothing but grey water.',
  'Bread was baked and the decks were scrubbed.',
  'Two sails passed far off to the north, e.g. fishing boats.',
  '船は静かに進んだ。',
  'Wind from the west at 3.5 knots 🌊, said the mate.',
];
export const needle = 'The silver compass was hidden inside the third barrel of salted herring.';
export const question = 'Where was the silver compass hidden?';

export const chain = {
  question: 'Who carries the key to the seed vault?',
  /** Shares words with the question. */
  found: 'The seed vault is locked like the brewery of Orrest.',
  /** Shares words with the sentence before alone. */
  answer: 'Around her neck Marguerite wears iron from Orrest brewery.',
  /** Both halves, far apart, the answer first. */
  text(sentences: number): string {
    const lines = Array.from({ length: sentences }, (_, i) => `On day ${i} the wind turned to the north. `);
    lines[3] = `${chain.answer} `;
    lines[sentences - 4] = `${chain.found} `;
    return lines.join('');
  },
};

/** `sentences` sentences of a voyage, the needle in the middle. */
export function voyage(sentences: number): string {
  const lines = Array.from({ length: sentences }, (_, i) => `${filler[i % filler.length]} `);
  lines[sentences >> 1] = `${needle} `;
  return lines.join('');
}
