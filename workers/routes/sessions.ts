import { Hono } from 'hono';
import { type AppEnv, sessionOf } from '../env.ts';
import { withSession } from '../middleware/session.ts';

/** Sessions: what holds documents and questions. Their ids are unguessable and the only right to them. */
export const sessions = new Hono<AppEnv>()
  .post('/', async (c) => {
    const id = crypto.randomUUID();
    const session = await sessionOf(c.env, id).create(id);
    return c.json(session, 201, { location: `/v1/sessions/${id}` });
  })
  .get('/:session', withSession, async (c) => c.json(await c.get('session').describe()))
  .delete('/:session', withSession, async (c) => {
    await c.get('session').destroy();
    return c.body(null, 204);
  });
