import type { Timing } from '../../workers/attention/endpoint/upstream.ts';

/** A clock that jumps to the end of every sleep; `random` is fixed, or given. */
export function fakeTiming(random: () => number = () => 0.5): Timing & { time: number } {
  return {
    time: 0,
    random,
    now() {
      return this.time;
    },
    async sleep(milliseconds) {
      this.time += milliseconds;
    },
  };
}
