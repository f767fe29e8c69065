import type { Answer, AttentionBackend, BackendDescription, ScoreRequest } from '../../shared/attention.ts';
import { QuestionTooLong } from '../../shared/attention.ts';
import type { Reader } from '../../workers/env.ts';

const words = (text: string): string[] => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
/** A token a word; a text without words still has one. */
const tokens = (text: string): string[] => {
  const found = words(text);
  return found.length > 0 ? found : [''];
};

/** Attends to words of the question: a reader whose evidence can be told by eye. Deterministic. */
export const overlap: Reader = {
  async describe(): Promise<BackendDescription> {
    return {
      model: 'overlap',
      max_question_tokens: 32,
      settings: {
        window_tokens: 128,
        cache_tokens: 48,
        evidence_tokens: 64,
        top_tokens: 24,
        phrase_tokens: 4,
        rank: 'mass',
        lexical_weight: 0,
      },
    };
  },

  async countTokens(sentences) {
    return sentences.map((s) => tokens(s).length);
  },

  async score({ question, found = '', windows }: ScoreRequest): ReturnType<AttentionBackend['score']> {
    const asked = words(question);
    if (asked.length > 32) throw new QuestionTooLong(asked.length, 32);
    const sought = [...asked, ...words(found)];
    knobs.windows += windows.length;
    await knobs.onWindow(knobs.windows);
    return {
      windows: windows.map(({ sentences }) => ({
        sink: 0,
        sentences: sentences.map((s) => ({
          importance: Float32Array.from(tokens(s), (t) => (sought.includes(t) ? t.length : 0)),
        })),
      })),
    };
  },

  async answer({ question, found = '', evidence }): Promise<Answer> {
    const asked = new Set(words(`${question} ${found}`).filter((w) => w.length > 3));
    // What has been found before does not answer.
    const scores = evidence.map((s) => (s === found ? 0 : words(s).filter((w) => asked.has(w)).length));
    const best = scores.indexOf(Math.max(...scores));
    const relevance = scores.map((score) => score / scores.reduce((sum, s) => sum + s, 1));
    if (best < 0 || scores[best]! < 2) return { found: false, text: '', confidence: 0, spans: [], relevance };
    const text = evidence[best]!.trimEnd();
    const spans = [{ sentence: best, start: 0, end: Array.from(text).length }];
    const confidence = found ? 1 : scores[best]! / asked.size;
    return { found: true, text, confidence, spans, relevance };
  },
};

/** The same, sure of nothing but what a second look tells it. */
export const doubting: Reader = {
  ...overlap,
  describe: async () => ({ ...(await overlap.describe()), again_below: 0.9 }),
};

/** Test knobs, shared with the tests by way of the isolate. */
export const knobs = {
  windows: 0,
  onWindow: async (_windows: number): Promise<void> => {},
  reader: overlap as Reader,
};
