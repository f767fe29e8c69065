import { Tokenizer } from '@huggingface/tokenizers';

/** A tokenizer.json, as far as it is looked at here. */
export interface TokenizerFile {
  pre_tokenizer?: unknown;
  added_tokens?: unknown[];
  model: { vocab: Record<string, number> };
}

/** Words (pre-tokens) and sentences kept with their ids. Words repeat all the time; a sentence comes back when it is scored. */
const CACHED_WORDS = 32768;
const CACHED_SENTENCES = 2048;

/** Longer sentences are encoded again rather than kept: the cache is bounded in memory, too. */
const LONGEST_CACHED = 2000;

/** The pre-tokenizer of GPT-2, which byte-level tokenizers name but do not spell out. */
const WORDS = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/**
 * Byte-level BPE of the reader: @huggingface/tokenizers with caches of words and sentences in front of it. Text never becomes a mark of
 * the layout: a document that spells one out is read as the characters that it has.
 */
export class ReaderTokenizer {
  private readonly tokenizer: Tokenizer;
  private readonly splits: boolean;
  private readonly words = new Map<string, number[]>();
  private readonly sentences = new Map<string, number[]>();
  private readonly bytes: Uint8Array;

  constructor(file: TokenizerFile) {
    this.tokenizer = new Tokenizer({ ...file, added_tokens: [] }, {});
    this.splits = isDigitsThenBytes(file.pre_tokenizer);
    const vocabulary = Object.entries(file.model.vocab);
    this.bytes = new Uint8Array(vocabulary.length);
    // A character of a byte-level token stands for one byte.
    for (const [token, id] of vocabulary) this.bytes[id] = token.length;
  }

  /** Ids of a text. The array is shared: do not change it. */
  encode(text: string): number[] {
    const known = this.sentences.get(text);
    if (known) return known;
    const ids: number[] = [];
    if (this.splits) for (const word of splitWords(text)) ids.push(...this.word(word));
    else ids.push(...this.tokenizer.encode(text, { add_special_tokens: false }).ids);
    if (text.length <= LONGEST_CACHED) remember(this.sentences, text, ids, CACHED_SENTENCES);
    return ids;
  }

  /** UTF-8 bytes that a token stands for. */
  byteLength(id: number): number {
    return this.bytes[id] ?? 0;
  }

  private word(word: string): number[] {
    let ids = this.words.get(word);
    if (!ids) {
      ids = this.tokenizer.encode(word, { add_special_tokens: false }).ids;
      if (word.length <= 64) remember(this.words, word, ids, CACHED_WORDS);
    }
    return ids;
  }
}

/** The words that the pre-tokenizer makes: digits alone, then GPT-2's pattern on what lies between them. */
export function* splitWords(text: string): Generator<string> {
  for (const piece of text.split(/(\d)/)) {
    if (piece.length === 1) yield piece;
    else if (piece) yield* piece.match(WORDS) ?? [];
  }
}

/** Whether `splitWords` does what this pre-tokenizer does; others go without the cache of words. */
function isDigitsThenBytes(preTokenizer: unknown): boolean {
  const { pretokenizers } = (preTokenizer ?? {}) as {
    pretokenizers?: { type: string; pattern?: { Regex?: string }; behavior?: string; use_regex?: boolean }[];
  };
  const [digits, bytes] = pretokenizers ?? [];
  return (
    pretokenizers?.length === 2 &&
    digits?.type === 'Split' &&
    digits.pattern?.Regex === '\\d' &&
    digits.behavior === 'Isolated' &&
    bytes?.type === 'ByteLevel' &&
    bytes.use_regex === true
  );
}

/** Two generations would keep more of what is hot; dropping everything when full keeps the bound and costs one warm-up. */
function remember(cache: Map<string, number[]>, key: string, ids: number[], limit: number): void {
  if (cache.size >= limit) cache.clear();
  cache.set(key, ids);
}
