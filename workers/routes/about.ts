import { Hono } from 'hono';
import type { AppEnv } from '../env.ts';

/** What is here, for whoever opens the address in a browser. */
export const about = new Hono<AppEnv>()
  .get('/', (c) =>
    c.json({
      name: 'sluice',
      paths: [
        'POST /v1/sessions',
        'GET|DELETE /v1/sessions/{session}',
        'POST /v1/sessions/{session}/documents?name=',
        'GET /v1/sessions/{session}/documents/{document}',
        'GET /v1/sessions/{session}/documents/{document}/text?start=&end=',
        'POST /v1/sessions/{session}/questions',
        'GET /v1/sessions/{session}/questions/{question}',
        'GET /v1/sessions/{session}/questions/{question}/events',
      ],
    }),
  )
  .get('/healthz', (c) => c.json({ ok: true }));
