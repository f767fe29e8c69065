import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';

// The server for real clients: wrangler's development server over wrangler.toml, with its state where `npm run ask` keeps its own.
const require = createRequire(import.meta.url);
const wrangler = join(require.resolve('wrangler/package.json'), '../bin/wrangler.js');
const server = spawn(
  process.execPath,
  [wrangler, 'dev', '--persist-to', '.sluice', ...process.argv.slice(2)],
  {
    stdio: 'inherit',
    // Nothing of a local run leaves the machine.
    env: { ...process.env, CLOUDFLARE_CF_FETCH_ENABLED: 'false', WRANGLER_SEND_METRICS: 'false' },
  },
);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => server.kill(signal));
server.on('exit', (code) => process.exit(code ?? 1));
