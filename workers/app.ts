import { Hono } from 'hono';
import type { AppEnv, Env, Reader } from './env.ts';
import { onError, onNotFound } from './middleware/errors.ts';
import { about } from './routes/about.ts';
import { documents } from './routes/documents.ts';
import { questions } from './routes/questions.ts';
import { sessions } from './routes/sessions.ts';

/** The HTTP API over any reader; index.ts gives it the embedded one, tests a small one. */
export function createApp(options: { reader: (env: Env) => Reader }): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.onError(onError);
  app.notFound(onNotFound);
  app.use(async (c, next) => {
    c.set('reader', options.reader(c.env));
    await next();
  });
  app.route('/', about);
  app.route('/v1/sessions', sessions);
  app.route('/v1/sessions/:session/documents', documents);
  app.route('/v1/sessions/:session/questions', questions);
  return app;
}
