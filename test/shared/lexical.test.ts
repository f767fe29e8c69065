import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lexicalCounts, scoreLexically } from '../../shared/lexical.ts';

const scoresOf = (question: string, sentences: string[]) =>
  scoreLexically(lexicalCounts(question), sentences, sentences.length).scores;

describe('scoreLexically', () => {
  it('is BM25: two sentences of three words, one of which holds the word once', () => {
    // Rarity log(1 + 1.5 / 1.5); length is the mean, so the norm is k1 and one occurrence weighs 1.
    const [none, once] = scoresOf('Where is the harbour?', ['we sailed home', 'Harbour lights ahead']);
    expect(none).toBe(0);
    expect(once).toBeCloseTo(Math.log(2), 12);
  });

  it('a rare word weighs more than a frequent one, a short sentence more than a long one', () => {
    const [rare, frequent, , long] = scoresOf('red boat', [
      'a boat there',
      'a red thing',
      'the red one',
      'a boat there, and much else that nobody asked for in the least',
    ]);
    expect(rare).toBeGreaterThan(long!);
    const counted = scoresOf('red boat', ['a boat there', 'a red thing', 'the red one']);
    expect(counted[0]).toBeGreaterThan(counted[1]!);
    expect(frequent).toBeGreaterThan(0);
  });

  it('knows words of writing without spaces by pairs of characters', () => {
    const [other, same] = scoresOf('船长是谁？', ['今天下雨。', '船长叫李明。']);
    expect(other).toBe(0);
    expect(same).toBeGreaterThan(0);
  });

  it('counts come out the same however the text is cut; sentences seen before count once', () => {
    const word = fc.constantFrom('red', 'boat', 'sails', 'Home', 'x1', '船', '港口');
    const sentence = fc.array(word, { maxLength: 8 }).map((words) => `${words.join(' ')}. `);
    fc.assert(
      fc.property(fc.array(sentence, { maxLength: 30 }), fc.nat(30), (sentences, cut) => {
        const start = lexicalCounts('Red boat 港口?');
        const whole = scoreLexically(start, sentences, sentences.length);
        const head = scoreLexically(start, sentences.slice(0, cut), Math.min(cut, sentences.length));
        const rest = scoreLexically(head.counts, sentences, Math.max(0, sentences.length - cut));
        expect(rest).toEqual(whole);
        expect(whole.counts.terms).toEqual(start.terms);
      }),
    );
  });
});
