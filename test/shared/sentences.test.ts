import { describe, expect, it } from 'vitest';
import { SentenceSegmenter } from '../../shared/sentences/index.ts';
import { segment, sentences } from './segment.ts';

/** Each case lists its sentences; joined by `between` they are the input. */
const same = (between: string, ...expected: string[]) =>
  expect(sentences(expected.join(between))).toEqual(expected);

describe('sentences', () => {
  it('English: stops, questions, closing quotes and brackets', () => {
    same(' ', 'It rained.', 'Did it stop?', 'No!', '(It never does.)', '"Enough," she said.', 'He left.');
    same(
      ' ',
      '"Stop!" he said.',
      '“Why?” asked the cook.',
      'She shrugged…',
      'Nothing moved...',
      'Then it did.',
    );
    same(' ', 'So it was.[12]', 'Nobody knew why?!', 'It ended **there.**', 'Good.');
  });

  it('abbreviations, initials and titles go on; some of them can end a sentence', () => {
    same(' ', 'Dr. Osei met Mr. and Mrs. Vane at St. Anne.', 'Prof. Lund, e.g., came by approx. Tuesday.');
    same(' ', 'J. R. Hale signed No. 5 of Fig. 12.', 'He said no.', 'Then he left.');
    same(' ', 'She moved to the U.S. in May.', 'They stayed in the U.S.', 'The pay was good.');
    same(' ', 'It opens at 9 a.m. Monday.', 'It closes at 5 p.m.', 'We wait.', 'Acme Inc. Sales rose.');
  });

  it('what stands before decides about "I.", what follows about "p.m."', () => {
    same(' ', 'She is taller than I.', 'Nobody minds.', 'Signed: I. Tollefsen, Master.', 'I. Kant wrote it.');
    same(' ', 'The tea is at 4 p.m.', 'Mrs. Pritchard pours.');
  });

  it('decimals, versions, addresses and files', () => {
    same(
      ' ',
      'It cost $3.14 in v1.2.3 of node.js.',
      'See https://a.example/x.html?q=1.',
      'Or a.b@c.example.',
    );
    same(' ', 'The load was .5 of 1,240.50 kg.', 'Open C:\\log.txt at 10.0.0.1:80.', 'Done.');
  });

  it('German and other Latin scripts', () => {
    same(
      ' ',
      'Das war am 3. Mai.',
      'Er kam z.B. mit Hr. Müller.',
      '„Gut so.“',
      'Dann ging er um ca. 9 Uhr.',
      'Nr. 7 blieb.',
    );
    same(' ', '¿Quién es?', '¡Nadie!', 'La Sra. Ruiz salió.', 'Él no.');
    same(' ', '« Oui. »'.replace(/ /g, '\u00a0'), 'Il est parti.', 'Ça va ?'.replace(' ', '\u00a0'), 'Non.');
    same(' ', 'Он ушёл.', 'Куда?', 'Никто не знает.');
    same(' ', 'هل جاء؟', 'لا أعرف.');
  });

  it('Chinese and Japanese need no space, and closing brackets stay', () => {
    same(
      '',
      '今天天气很好。',
      '我们出海吧！',
      '你去吗？',
      '他说：“不去。”',
      '水温是３．５度。',
      '船长笑了……',
      '然后走了。'.slice(0, 5),
    );
    same('', '風が強い。', '「はい。」と言った。', '「本当？」', '船は出た。', '終わり！');
    same('', '（见第三章。）', '他用的是 v2.1 版本。', '好。');
  });

  it('an opening quote is not a closing one', () => {
    same('', '他笑了。', '“等到什么时候？”', '船长问。', '“到天亮！”');
    same(' ', 'He rose.', '“Go.”', '‘Why?’', 'Nobody knew.');
  });

  it('Hindi', () => same(' ', 'वह गया।', 'कौन?', 'कोई नहीं।'));

  it('hard-wrapped prose joins; a blank line always ends', () => {
    const wrapped =
      'The pump had been running since midnight without any sign of\ntrouble, and nobody looked at\nit.';
    expect(sentences(`${wrapped}\n\nno stop here\n\nNext`)).toEqual([wrapped, 'no stop here', 'Next']);
    expect(sentences(wrapped.replaceAll('\n', '\r\n'))).toEqual([wrapped.replaceAll('\n', '\r\n')]);
    expect(
      sentences('The keeper climbed up the long stair to meet with old\nAnna Berg at the lamp. Good.'),
    ).toHaveLength(2);
  });

  it('headings and lists', () => {
    same('\n', '# Seals', 'The seal is worn.', '## Next', 'Order it.');
    same(
      '\n',
      'LOG OF THE KITTIWAKE, OF ALDERMOUTH AND OF MARL',
      'Voyage 31 went from the one harbour to the other',
      'Master: I. Tollefsen',
    );
    same(
      '\n',
      '0540 Pilot on board, and nobody had seen him come up',
      '06:15 Let go of the last line, which had been put on board in version\n4.11 of the old plan, and not in the newer one that was drawn up in\n1998 and first used by the master of the other ship on that evening at\n19:02 once more.',
    );
    same('\n', 'Safety', 'Wear gloves when the hopper is open.', 'Cleaning', 'Use a brush.');
    same(
      '\n',
      'You need:',
      '- a brush',
      '- two bolts, one of\n  them long',
      '* oil',
      '1. Open it.',
      '2) Close it.',
      '一、开门',
      '（二）关门',
    );
    expect(sentences('1. Open the lid. Wait.\n10. Close it.')).toEqual([
      '1. Open the lid.',
      'Wait.',
      '10. Close it.',
    ]);
  });

  it('table rows, log lines and code lines are one sentence each', () => {
    same('\n', '| part | no. |', '|---|---|', '| 1. seal | Yes. No. |', 'name\tsize', 'seal. Big\t4', 'End.');
    same(
      '\n',
      '2026-01-02 10:00:00 INFO Pump on. Ready.',
      '2026-01-02 10:00:01 WARN low',
      '[ERROR] it broke. Badly.',
    );
    same('\n', '```', 'let x = a.b. C;', 'go on', '```', 'Prose again.');
    same('\n', 'const x = 1;', 'if (x) {', 'run(x);', '}');
  });

  it('white space belongs to the sentence before, and at the start to the first', () => {
    expect(segment(' \n A.  \n\n B. \r\n').map((p) => p.text)).toEqual([' \n A.  \n\n ', 'B. \r\n']);
    expect(segment('')).toEqual([]);
    expect(segment(' \n')).toEqual([{ text: ' \n', start: 0, end: 2 }]);
  });

  it('offsets count code points', () => {
    expect(segment('👩‍🚀 ok. 好。x')).toEqual([
      { text: '👩‍🚀 ok. ', start: 0, end: 8 },
      { text: '好。', start: 8, end: 10 },
      { text: 'x', start: 10, end: 11 },
    ]);
  });

  it('over-long sentences are cut at a clause, a space, or between characters', () => {
    expect(sentences('alpha beta gamma delta epsilon', 16)).toEqual(['alpha beta', 'gamma delta', 'epsilon']);
    expect(sentences('东南西北风，东南西北风浪大，好', 24)).toEqual(
      ['东南西北风，', '东南西北风浪大，', '好'].slice(0, 3),
    );
    const family = '👨‍👩‍👧‍👦';
    for (const { text } of segment(`x${family.repeat(40)}`, 100)) expect(text).toMatch(/^x?(👨‍👩‍👧‍👦)+$/u);
    for (const { text } of segment(`x${'🇳🇴'.repeat(200)}`, 50)) expect(text).toMatch(/^x?(🇳🇴)+$/u);
    for (const { text } of segment('e\u0301'.repeat(300), 50)) expect(text.startsWith('e')).toBe(true);
    expect(() => new SentenceSegmenter({ maxBytes: 3 })).toThrow(RangeError);
  });

  it('a surrogate pair that two pushes share is joined', () => {
    const segmenter = new SentenceSegmenter();
    const pieces = [...segmenter.push('a\ud83d'), ...segmenter.push('\ude00.'), ...segmenter.flush()];
    expect(pieces).toEqual([{ text: 'a😀.', start: 0, end: 3 }]);
  });

  it.each(['a', '.', ' ', '\n', '。', '(', '1.', 'A.', '"', '|', '\u0301', '🇳🇴', '{;', '`', '\ud800'])(
    '1 MB of %j: pieces within the bound, in linear time',
    (unit) => {
      const text = unit.repeat(Math.ceil(1_000_000 / unit.length));
      const pieces = segment(text);
      expect(pieces.map((p) => p.text).join('')).toBe(text);
      expect(pieces.every((p) => new TextEncoder().encode(p.text).length <= 800)).toBe(true);
    },
    20_000,
  );
});
