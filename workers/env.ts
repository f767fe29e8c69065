import type { Session } from '../durable-objects/session.ts';
import type { RunMessage, SessionApi } from '../durable-objects/types.ts';
import type { Answerer, AttentionBackend } from '../shared/attention.ts';
import type { WorkersAi } from './answer/chat/models.ts';

/** Bindings of wrangler.toml. */
export interface Env {
  SESSIONS: DurableObjectNamespace<Session>;
  RUNS: Queue<RunMessage>;
  /** The embedded reader's files. */
  ASSETS: Fetcher;
  /** An attention endpoint (inference/); none: the embedded reader. */
  ATTENTION_URL?: string;
  ATTENTION_TOKEN?: string;
  /** An OpenAI-compatible chat endpoint, a model of the Hugging Face router, or one of Workers AI (@cf/…); none: the embedded reader's spans. */
  ANSWER_URL?: string;
  ANSWER_MODEL?: string;
  ANSWER_TOKEN?: string;
  /** Workers AI, where wrangler.toml binds it. */
  AI?: WorkersAi;
}

/** What reads attention and answers; the composition decides which. */
export type Reader = AttentionBackend & Answerer;

/** What Hono's contexts carry. */
export interface AppEnv {
  Bindings: Env;
  Variables: { reader: Reader; session: SessionApi; sessionId: string };
}

/** The session of this id, made or not. */
export const sessionOf = (env: Env, id: string): SessionApi =>
  // The stub has these methods; the generic RPC types only obscure them.
  env.SESSIONS.getByName(id) as unknown as SessionApi;
