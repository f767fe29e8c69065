import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { beforeAll, describe, expect, it } from 'vitest';
import { readerFrom } from '../../reader/node.ts';
import { QuestionTooLong } from '../../shared/attention.ts';
import { encodeSought, trimLongest } from '../../workers/attention/embedded/layout.ts';
import { ReaderTokenizer } from '../../workers/attention/embedded/tokenizer.ts';

const assets = join(import.meta.dirname, '../../reader/assets');
const file = JSON.parse(readFileSync(join(assets, 'tokenizer.json'), 'utf8'));

describe('the tokenizer', () => {
  const tokenizer = new ReaderTokenizer(file);

  it.each([
    'The invoice for 12,500.75 was approved on March 4, 1931.\n',
    "  it's we'LL  \n\n they've\tgone   3 ",
    'naïve café, Straße',
    '日本語の文。これはテストです！',
    '👩‍👩‍👧 and ½ of ٣٤',
    '<|bos|> spelled out <|answer|>',
    'constructor __proto__ toString',
    '',
  ])('gives the ids of @huggingface/tokenizers: %j', (text) => {
    const plain = new Tokenizer({ ...file, added_tokens: [] }, {});
    const { ids } = plain.encode(text, { add_special_tokens: false });
    expect(tokenizer.encode(text)).toEqual(ids);
    expect(tokenizer.encode(text)).toEqual(ids);
    const bytes = ids.reduce((sum, id) => sum + tokenizer.byteLength(id), 0);
    expect(bytes).toBe(new TextEncoder().encode(text).length);
  });
});

describe('a window over the limit', () => {
  it('loses the tails of its longest sentences', () => {
    expect(trimLongest([5, 40, 10, 60], 60)).toEqual([5, 22, 10, 22]);
    expect(trimLongest([5, 6], 60)).toEqual([5, 6]);
  });
});

describe('the embedded reader', { timeout: 60_000 }, () => {
  let embedded: Awaited<ReturnType<typeof readerFrom>>;

  beforeAll(async () => {
    embedded = await readerFrom(assets);
  }, 60_000);

  const sentences = [
    'A good deal of rain fell in the night. ',
    'The invoice for the copper kettle was approved by Samuel Osei. ',
    'The road to the mill was closed. ',
  ];
  const question = 'Who approved the invoice for the copper kettle?';

  it('gives one importance a token and looks at the sentence that answers', async () => {
    const { reader } = embedded;
    const counts = await reader.countTokens(sentences);
    const { windows } = await reader.score({ question, windows: [{ sentences }, { sentences }] });
    expect(windows).toHaveLength(2);
    const [window] = windows;
    expect(window!.sentences.map(({ importance }) => importance.length)).toEqual(counts);
    const mass = window!.sentences.map(({ importance }) => importance.reduce((sum, x) => sum + x, 0));
    expect(mass.indexOf(Math.max(...mass))).toBe(1);
    expect(window!.sink).toBeGreaterThanOrEqual(0);
    expect(window!.sink + mass.reduce((a, b) => a + b)).toBeLessThanOrEqual(1.001);
  });

  it('scores a window longer than it takes', async () => {
    const long = [...sentences, `${'so on and '.repeat(2000)}.`];
    const { windows } = await embedded.reader.score({ question, windows: [{ sentences: long }] });
    const lengths = windows[0]!.sentences.map(({ importance }) => importance.length);
    const total = lengths.reduce((a, b) => a + b);
    expect(total).toBeLessThanOrEqual(embedded.manifest.max_window_tokens);
    expect(lengths.slice(0, 3)).toEqual(await embedded.reader.countTokens(sentences));
  });

  it('answers with an exact span', async () => {
    const { found, text, spans, confidence } = await embedded.reader.answer({
      question,
      evidence: sentences,
    });
    expect({ found, text }).toEqual({ found: true, text: 'Samuel Osei' });
    expect(spans).toHaveLength(1);
    const [{ sentence, start, end }] = spans as [(typeof spans)[0]];
    expect([...sentences[sentence]!].slice(start, end).join('')).toBe(text);
    expect(confidence).toBeGreaterThan(0.5);
  });

  it('answers from the best of more evidence than it reads at once', async () => {
    const filler = (i: number) =>
      `On day ${i} the wind turned to the north and the keeper wrote the names of the ships. `;
    const long = [...Array.from({ length: 30 }, (_, i) => filler(i)), ...sentences, filler(31)];
    const { found, spans, relevance } = await embedded.reader.answer({ question, evidence: long });
    const gold = 30 + (await embedded.reader.answer({ question, evidence: sentences })).spans[0]!.sentence;
    expect(found).toBe(true);
    expect(spans[0]!.sentence).toBe(gold);
    expect(relevance).toHaveLength(long.length);
    expect(relevance!.indexOf(Math.max(...relevance!))).toBe(gold);
    expect(relevance!.some((share) => share === 0)).toBe(true);
    expect(relevance!.reduce((sum, share) => sum + share, 0)).toBeLessThanOrEqual(1.001);
  });

  it('answers beside a sentence longer than it takes', async () => {
    const long = [...sentences, `${'so on and '.repeat(2000)}.`];
    const { found, relevance } = await embedded.reader.answer({ question, evidence: long });
    expect(found).toBe(true);
    expect(relevance).toHaveLength(long.length);
  });

  it('finds nothing in no evidence', async () => {
    const { found, text, spans } = await embedded.reader.answer({ question, evidence: [] });
    expect({ found, text, spans }).toEqual({ found: false, text: '', spans: [] });
  });

  it('refuses a question that is too long', async () => {
    const asked = embedded.reader.score({ question: 'why '.repeat(200), windows: [{ sentences }] });
    await expect(asked).rejects.toThrow(QuestionTooLong);
  });

  it('looks for what was found before as well, as far as there is room behind the question', () => {
    const { tokenizer, manifest } = embedded;
    const ids = (asked: string, found?: string) => encodeSought(asked, found, tokenizer, manifest);
    expect(ids(question, 'The invoice. ')).toEqual(tokenizer.encode(` ${question} The invoice.`));
    const cut = ids(question, 'so on and '.repeat(200));
    expect(cut).toHaveLength(manifest.max_question_tokens);
    expect(cut.slice(0, ids(question).length)).toEqual(ids(question));
    expect(() => ids('why '.repeat(200), 'so')).toThrow(QuestionTooLong);
  });
});
