import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    projects: [
      {
        plugins: [
          cloudflareTest({
            // The product's bindings under a Worker without the model: see test/worker/entry.ts.
            main: './test/worker/entry.ts',
            wrangler: { configPath: './wrangler.toml' },
          }),
        ],
        test: { name: 'worker', include: ['test/worker/**/*.test.ts'] },
      },
      { test: { name: 'ask', include: ['test/ask/**/*.test.ts'], hookTimeout: 60_000 } },
      { test: { name: 'shared', include: ['test/shared/**/*.test.ts'] } },
      { test: { name: 'endpoint', include: ['test/endpoint/**/*.test.ts'] } },
      {
        test: {
          name: 'reader',
          include: ['test/reader/**/*.node.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
