import { createMiddleware } from 'hono/factory';
import { type AppEnv, sessionOf } from '../env.ts';
import { notFound } from './problem.ts';

/** Session ids as POST /v1/sessions makes them; anything else needs no look into storage. */
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Resolves `:session`, and counts the request as use of it. */
export const withSession = createMiddleware<AppEnv>(async (c, next) => {
  const id = c.req.param('session') ?? '';
  if (!ID.test(id)) throw notFound('session');
  const session = sessionOf(c.env, id);
  if ((await session.describe()) === null) throw notFound('session');
  c.set('session', session);
  c.set('sessionId', id);
  await next();
});
