import { type Graph, loadGraph } from '../workers/attention/embedded/graph.ts';
import { runtime } from '../workers/attention/embedded/ort.ts';

let graph: Graph | undefined;

/**
 * POST loads a graph; GET ?tokens=1024&rows=20 runs it once. The clock is the caller's: inside a request workerd's stands still while
 * nothing is read or written.
 */
export default {
  async fetch(request: Request): Promise<Response> {
    if (request.method === 'POST') {
      graph = await loadGraph(runtime, new Uint8Array(await request.arrayBuffer()), 64);
      return new Response('loaded');
    }
    const { searchParams } = new URL(request.url);
    const [tokens, rows] = [Number(searchParams.get('tokens')), Number(searchParams.get('rows'))];
    await graph!(
      Array.from({ length: tokens }, (_, i) => (i === 0 ? 0 : 6 + ((i * 7919) % 16000))),
      Array.from({ length: rows }, (_, i) => tokens - rows + i),
    );
    return new Response('done');
  },
};
