import { describe, expect, test } from 'vitest';
import { readDescription } from '../../workers/attention/endpoint/wire.ts';

const settings = {
  window_tokens: 965,
  cache_tokens: 256,
  evidence_tokens: 512,
  top_tokens: 300,
  phrase_tokens: 8,
  rank: 'mass',
  lexical_weight: 0.3,
};

describe('a description', () => {
  test('of any model leads to the paper', () =>
    expect(readDescription({ model: 'a/model', max_window_tokens: 4096 })).toEqual({
      model: 'a/model',
      max_question_tokens: 512,
      windows_at_once: 1,
      settings: {
        window_tokens: 3456,
        cache_tokens: 1152,
        evidence_tokens: 1152,
        top_tokens: 300,
        phrase_tokens: 8,
        rank: 'peak',
        lexical_weight: 0,
      },
    }));

  test('of a model with settings of its own leads to these', () =>
    expect(
      readDescription({ model: 'reader', max_window_tokens: 1024, max_question_tokens: 56, settings }),
    ).toMatchObject({ max_question_tokens: 56, settings }));

  test('with a cache that leaves nothing of the window is refused', () =>
    expect(() =>
      readDescription({
        model: 'reader',
        max_window_tokens: 1024,
        settings: { ...settings, cache_tokens: 965 },
      }),
    ).toThrow('agreed form'));
});
