import type { ScoreRequest } from '../../../shared/attention.ts';

type Window = ScoreRequest['windows'][number];

/** What one call may hold. */
export interface PayloadLimits {
  /** Bytes of JSON, windows only; the question and the frame are small beside it. */
  maxBytes: number;
  maxWindows: number;
}

const encoder = new TextEncoder();

/** Bytes of a window as JSON. */
const sizeOf = (window: Window): number => encoder.encode(JSON.stringify(window)).byteLength;

/**
 * Splits windows over calls, in order. A window is never cut: one that is over the limit alone goes alone, and the endpoint says what
 * it thinks of it.
 */
export function splitPayload(windows: Window[], limits: PayloadLimits): Window[][] {
  const calls: Window[][] = [];
  let bytes = 0;
  for (const window of windows) {
    const size = sizeOf(window);
    const last = calls.at(-1);
    if (last && last.length < limits.maxWindows && bytes + size <= limits.maxBytes) {
      last.push(window);
      bytes += size;
    } else {
      calls.push([window]);
      bytes = size;
    }
  }
  return calls;
}
