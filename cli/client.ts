import { createParser } from 'eventsource-parser';
import type { Fetch } from './http.ts';

/** One server-sent event of a question's run. */
export interface RunEvent {
  event: string;
  // biome-ignore lint/suspicious/noExplicitAny: the members differ by event; the reader picks what it shows.
  data: any;
}

/** The server's problem details (RFC 9457), as one message. */
export class Problem extends Error {}

/** The HTTP API, as the command line uses it. */
export class Client {
  private readonly fetch: Fetch;

  constructor(fetch: Fetch) {
    this.fetch = fetch;
  }

  async createSession(): Promise<string> {
    return ((await this.json('/v1/sessions', { method: 'POST' })) as { id: string }).id;
  }

  /** Streams `body`; never holds it. @returns the document's id */
  async addDocument(session: string, name: string, body: ReadableStream<Uint8Array>): Promise<string> {
    const path = `/v1/sessions/${session}/documents?name=${encodeURIComponent(name)}`;
    const headers = { 'content-type': 'text/plain; charset=utf-8' };
    const init = { method: 'POST', headers, body, duplex: 'half' } as RequestInit;
    return ((await this.json(path, init)) as { id: string }).id;
  }

  /** Code points `start … end` of a document. */
  async text(session: string, document: string, start: number, end: number): Promise<string> {
    const response = await this.ok(
      `/v1/sessions/${session}/documents/${document}/text?start=${start}&end=${end}`,
    );
    return response.text();
  }

  /** Asks, and yields the run's events as they come. */
  async *ask(session: string, question: string, mode: string): AsyncGenerator<RunEvent> {
    yield* this.events(`/v1/sessions/${session}/questions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
      body: JSON.stringify({ question, mode }),
    });
  }

  /** The events of a question asked before, from its first; the run goes on if it had stopped. */
  async *follow(session: string, question: string): AsyncGenerator<RunEvent> {
    const headers = { accept: 'text/event-stream' };
    yield* this.events(`/v1/sessions/${session}/questions/${question}/events`, { headers });
  }

  private async *events(path: string, init: RequestInit): AsyncGenerator<RunEvent> {
    const response = await this.ok(path, init);
    const events: RunEvent[] = [];
    const parser = createParser({
      onEvent: (e) => events.push({ event: e.event ?? 'message', data: JSON.parse(e.data) }),
    });
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      parser.feed(chunk);
      yield* events.splice(0);
    }
  }

  async json(path: string, init?: RequestInit): Promise<unknown> {
    return (await this.ok(path, init)).json();
  }

  private async ok(path: string, init?: RequestInit): Promise<Response> {
    const response = await this.fetch(path, init);
    if (response.ok) return response;
    const text = await response.text();
    throw new Problem(describe(text, response.status));
  }
}

function describe(body: string, status: number): string {
  try {
    const { title, detail, hint } = JSON.parse(body);
    return [detail ?? title, hint].filter(Boolean).join(' ');
  } catch {
    return `the server answered ${status}`;
  }
}
