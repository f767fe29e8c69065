import { describe, expect, test } from 'vitest';
import { BackendError, createEndpointBackend } from '../../workers/attention/endpoint/index.ts';
import { fakeTiming } from './clock.ts';

const MINUTES = 60_000;
const windows = Array.from({ length: 40 }, () => ({ sentences: ['A sentence of some length.'] }));

/** An endpoint that answers 503 until `warmAt`, on a clock of its own. */
function coldEndpoint(
  warmAt: number,
  random: () => number,
  onWarming = (_: number) => {},
  warmingPatienceMs = 30_000,
) {
  const timing = fakeTiming(random);
  const calls: number[] = [];
  const fetch = async (_: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    calls.push(timing.time);
    if (timing.time < warmAt) return Response.json({ error: 'loading' }, { status: 503 });
    const { inputs } = JSON.parse(String(init?.body));
    if (inputs.task === 'describe') return Response.json({ model: 'a/model', max_window_tokens: 4096 });
    const sentences = [{ importance: 'ADw=' }];
    return Response.json({ windows: inputs.windows.map(() => ({ sentences, sink: 0 })) });
  };
  const url = 'https://endpoint.example';
  const backend = createEndpointBackend({
    url,
    fetch: fetch as typeof globalThis.fetch,
    timing,
    maxWindows: 4,
    onWarming,
    warmingPatienceMs,
  });
  return { backend, timing, calls };
}

describe('a cold start of five minutes', () => {
  // The least and the greatest luck of the jitter, and the middle.
  // With patience inside the client, and as runs have it: they rest and come back.
  test.each(
    [0, 0.5, 0.999].flatMap((luck) => [
      [luck, 30_000],
      [luck, 0],
    ]),
  )('costs at most 20 calls and loses no answer (jitter %d, patience %d ms)', async (luck, patience) => {
    let warned = 0;
    const { backend, timing, calls } = coldEndpoint(
      5 * MINUTES,
      () => luck!,
      () => warned++,
      patience,
    );
    // A queue that comes back when it is told to.
    let scored: Awaited<ReturnType<typeof backend.score>> | undefined;
    while (!scored) {
      try {
        scored = await backend.score({ question: 'Why?', windows });
      } catch (error) {
        if (!(error instanceof BackendError)) throw error;
        timing.time += error.retryAfterSeconds! * 1000;
      }
    }
    expect(scored.windows.length).toBe(40);
    expect(calls.filter((at) => at < 5 * MINUTES).length).toBeLessThanOrEqual(20);
    expect(warned).toBeGreaterThan(0);
    expect(timing.time).toBeLessThan(7 * MINUTES);
  });

  test('costs no more when many runs ask without a pause', async () => {
    const { backend, timing, calls } = coldEndpoint(5 * MINUTES, () => 0.1);
    for (; timing.time < 5 * MINUTES; timing.time += 250) {
      const asks = [1, 2, 3].map(() => backend.score({ question: 'Why?', windows }));
      await Promise.allSettled(asks);
    }
    expect(calls.filter((at) => at < 5 * MINUTES).length).toBeLessThanOrEqual(20);
  });

  test('a warm endpoint has six calls in flight, a cold one a single one', async () => {
    let inFlight = 0;
    const most: number[] = [];
    const timing = fakeTiming();
    const fetch = async (_: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
      most.push(++inFlight);
      await new Promise((resolve) => setTimeout(resolve, 2));
      inFlight--;
      const { inputs } = JSON.parse(String(init?.body));
      if (inputs.task === 'describe') return Response.json({ model: 'a/model', max_window_tokens: 4096 });
      return Response.json({ windows: [{ sentences: [{ importance: 'ADw=' }], sink: 0 }] });
    };
    const url = 'https://endpoint.example';
    const backend = createEndpointBackend({
      url,
      fetch: fetch as typeof globalThis.fetch,
      timing,
      maxWindows: 1,
    });
    await backend.score({ question: 'Why?', windows });
    expect(most[0]).toBe(1);
    expect(Math.max(...most)).toBe(6);
  });
});
