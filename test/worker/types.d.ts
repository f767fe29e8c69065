/// <reference types="@cloudflare/vitest-plugin/types" />

declare namespace Cloudflare {
  interface Env {
    SESSIONS: DurableObjectNamespace<import('../../durable-objects/session.ts').Session>;
    RUNS: Queue<import('../../durable-objects/types.ts').RunMessage>;
    ASSETS: Fetcher;
  }
}
