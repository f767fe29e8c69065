import { describe, expect, it } from 'vitest';
import { joined, type Reading, secondLook, sought, surer } from '../../shared/scan/second.ts';
import type { Placed } from '../../shared/scan/state.ts';

const sentence = (place: number, text = `s${place} `): Placed => ({
  document: 'd',
  start: place,
  end: place + 1,
  text,
  tokens: 1,
  place,
});

const reading = (confidence: number, relevance?: number[]): Reading => ({
  answer: { found: true, text: 'x', confidence, spans: [], ...(relevance && { relevance }) },
  evidence: (relevance ?? [0, 0]).map((_, i) => sentence(i)),
});

describe('a second look', () => {
  it('is taken with the most relevant sentence of an uncertain answer', () => {
    const first = reading(0.4, [0.1, 0.2, 0.1]);
    expect(secondLook(first, 0.5)).toEqual({ ...first, found: sentence(1) });
  });

  it.each([
    ['the answer is certain', reading(0.5, [0.5]), 0.5],
    ['the reader does not ask for it', reading(0, [0.1]), undefined],
    ['nobody knows what is relevant', reading(0), 0.5],
    ['nothing is relevant', reading(0, [0, 0]), 0.5],
    ['there is no evidence', reading(0, []), 0.5],
  ])('is not taken where %s', (_, first, below) => {
    expect(secondLook(first, below)).toBeUndefined();
  });

  it('has the sentence behind the question', () => {
    expect(sought('Who? ', 'The key.\n')).toBe('Who? The key.');
    expect(sought('Who?')).toBe('Who?');
  });

  it('answers from what was found first and second, each once, in the order of the text', () => {
    const [a, b, c] = [sentence(1), sentence(5, 'found\n'), sentence(9)];
    const again = { ...b, near: '01' };
    expect(joined(b, [a, c])).toEqual([a, b, c]);
    expect(joined(b, [a, again, c, sentence(12, 'found')])).toEqual([a, b, c]);
  });

  it('gives way to the first answer where that is as certain', () => {
    const [first, second] = [reading(0.4), reading(0.4, [0.4])];
    expect(surer(first, second)).toBe(first);
    expect(surer(first, reading(0.41))).not.toBe(first);
  });
});
