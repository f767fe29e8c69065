import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lexicalCounts, neighbourhood, scoreLexically } from '../../shared/lexical.ts';
import { stem } from '../../shared/stem.ts';

const worded = (sentences: string[]) => sentences.map((text) => ({ text }));

const scoresOf = (question: string, sentences: string[]) =>
  scoreLexically(lexicalCounts(question), worded(sentences), sentences.length).scores;

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
        const all = worded(sentences);
        const whole = scoreLexically(start, all, all.length);
        const head = scoreLexically(start, all.slice(0, cut), Math.min(cut, all.length));
        const rest = scoreLexically(head.counts, all, Math.max(0, all.length - cut));
        expect(rest).toEqual(whole);
        expect(whole.counts.terms).toEqual(start.terms);
      }),
    );
  });

  it('counts a word of a neighbour by its distance, and no further than three sentences', () => {
    const { terms } = lexicalCounts('Harbour lights');
    const texts = ['A harbour.', 'We sailed on.', 'The lights.', 'Home.', 'So.', 'It was.', 'Late.'];
    const of = (list: string[], document = 'd') => list.map((text) => ({ text, document }));
    expect(terms).toEqual(['harbour', 'light']);
    expect(neighbourhood(terms, [...of(['A harbour.']), ...of(['Home.', 'Lights.'], 'e')])).toEqual([
      '00',
      '01',
      '00',
    ]);
    expect(neighbourhood(terms, of(texts))).toEqual(['02', '11', '20', '31', '02', '03', '00']);
    const near = neighbourhood(terms, of(texts));
    const { scores } = scoreLexically(
      lexicalCounts('Harbour lights'),
      texts.map((text, i) => ({ text, near: near[i]! })),
      texts.length,
    );
    // Rarity of the harbour log(1 + 6.5 / 1.5), as of the lights; half of it next door.
    expect(scores[1]).toBeCloseTo(Math.log(1 + 6.5 / 1.5), 12);
    expect(scores[6]).toBe(0);
  });
});

describe('stem', () => {
  it('takes off endings, not words', () => {
    for (const [one, other] of [
      ['families', 'family'],
      ['stopped', 'stopping'],
      ['moved', 'moving'],
      ['churches', 'church'],
      ['quickly', 'quick'],
      ['studied', 'studies'],
      ['added', 'add'],
    ])
      expect(stem(one!)).toBe(stem(other!));
    for (const word of ['red', 'king', 'status', 'analysis', '1998', 'größe', 'speed', '港口'])
      expect(stem(word)).toBe(word);
  });
});
