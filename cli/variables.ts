import { readFile } from 'node:fs/promises';
import { parseEnv } from 'node:util';

const VARIABLES = ['ATTENTION_URL', 'ATTENTION_TOKEN', 'ANSWER_URL', 'ANSWER_MODEL', 'ANSWER_TOKEN'] as const;
export type Variables = Partial<Record<(typeof VARIABLES)[number], string>>;

/** What chooses the models. .dev.vars is where wrangler keeps local secrets; the environment wins. */
export async function readVariables(): Promise<Variables> {
  const file = await readFile('.dev.vars', 'utf8').catch(() => '');
  const all: Record<string, string | undefined> = { ...parseEnv(file), ...process.env };
  return Object.fromEntries(
    VARIABLES.flatMap((name) => (all[name]?.trim() ? [[name, all[name].trim()]] : [])),
  );
}
