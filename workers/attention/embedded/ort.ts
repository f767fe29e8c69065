import wasm from 'onnxruntime-web/ort-wasm-simd-threaded.wasm';
import * as ort from 'onnxruntime-web/wasm';
import type { Runtime } from './graph.ts';

// workerd compiles no WebAssembly at run time: the module comes precompiled with the upload. onnxruntime-web wants bytes, so it gets a
// one-byte stand-in, and instantiating the stand-in instantiates the module.
const STAND_IN = new ArrayBuffer(1);

type Instantiate = (source: unknown, imports?: WebAssembly.Imports) => Promise<unknown>;
const assembly = WebAssembly as unknown as { instantiate: Instantiate };
const instantiate = assembly.instantiate;

assembly.instantiate = async (source, imports) =>
  (source as { buffer?: unknown } | null)?.buffer === STAND_IN
    ? { module: wasm, instance: new WebAssembly.Instance(wasm, imports) }
    : instantiate.call(WebAssembly, source, imports);

ort.env.wasm.wasmBinary = STAND_IN;
// An isolate has one thread.
ort.env.wasm.numThreads = 1;
ort.env.logLevel = 'error';

/** onnxruntime-web as it runs inside workerd. */
export const runtime: Runtime = ort;
