/** The body is not UTF-8. */
export class InvalidUtf8 extends Error {
  /** Offset of the first byte of the malformed sequence, from the start of the stream. */
  readonly byte: number;

  constructor(byte: number) {
    super(`not valid UTF-8 at byte ${byte}`);
    this.name = 'InvalidUtf8';
    this.byte = byte;
  }
}

/** The body is a file of some other kind, not text. */
export class BinaryText extends Error {
  /** Offset of the byte that gave it away, from the start of the stream. */
  readonly byte: number;

  constructor(byte: number) {
    super(`binary data, not text, at byte ${byte}`);
    this.name = 'BinaryText';
    this.byte = byte;
  }
}

/** Starts of files that people mistake for text; some are valid UTF-8 for a long way. PDF, ZIP, gzip, PNG, JPEG, GIF, UTF-16. */
const MAGIC = [
  [0x25, 0x50, 0x44, 0x46, 0x2d],
  [0x50, 0x4b, 0x03, 0x04],
  [0x1f, 0x8b],
  [0x89, 0x50, 0x4e, 0x47],
  [0xff, 0xd8, 0xff],
  [0x47, 0x49, 0x46, 0x38],
  [0xff, 0xfe],
  [0xfe, 0xff],
];
/** Bytes held back at the start, so that the longest magic number is seen whole however the stream is split. */
const HEAD_BYTES = 5;

/**
 * Decodes UTF-8 chunk by chunk. A byte order mark at the very start is left out of the text; the offsets of errors count it. Which error
 * is thrown, and at which byte, does not depend on the chunks. After an error the decoder is of no more use.
 */
export class Utf8Decoder {
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  /** A sequence that the last chunk left unfinished, or the head of the stream. */
  #held = new Uint8Array(0);
  /** Offset of `#held`'s first byte. */
  #offset = 0;
  #started = false;

  /**
   * @returns the text that is complete by now
   * @throws InvalidUtf8 @throws BinaryText
   */
  decode(chunk: Uint8Array): string {
    const bytes = this.#held.length === 0 ? chunk : join(this.#held, chunk);
    if (!this.#started && bytes.length < HEAD_BYTES) {
      this.#held = bytes.slice();
      return '';
    }
    const end = bytes.length - unfinished(bytes);
    const text = this.#text(bytes.subarray(0, end));
    this.#held = bytes.slice(end);
    return text;
  }

  /**
   * Ends the stream.
   *
   * @throws InvalidUtf8 when it ends inside a sequence @throws BinaryText
   */
  finish(): string {
    const rest = this.#held;
    this.#held = new Uint8Array(0);
    return this.#text(rest);
  }

  #text(bytes: Uint8Array): string {
    let skip = 0;
    if (!this.#started) {
      this.#started = true;
      if (MAGIC.some((magic) => magic.every((byte, i) => bytes[i] === byte))) throw new BinaryText(0);
      if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) skip = 3;
    }
    const nul = bytes.indexOf(0);
    let text: string;
    try {
      text = this.#decoder.decode(skip > 0 ? bytes.subarray(skip) : bytes);
    } catch {
      const bad = firstInvalid(bytes);
      throw nul >= 0 && nul < bad ? new BinaryText(this.#offset + nul) : new InvalidUtf8(this.#offset + bad);
    }
    if (nul >= 0) throw new BinaryText(this.#offset + nul);
    this.#offset += bytes.length;
    return text;
  }
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}

/** Bytes at the end that may be the start of a sequence still to come. */
function unfinished(bytes: Uint8Array): number {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back]!;
    if (byte < 0x80) return 0;
    if (byte >= 0xc0) return back < lengthOf(byte) ? back : 0;
  }
  return 0;
}

const lengthOf = (lead: number) => (lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1);

/** Where the first malformed sequence starts (the table of well-formed sequences, Unicode 16, 3-7); the length when there is none. */
function firstInvalid(bytes: Uint8Array): number {
  let i = 0;
  while (i < bytes.length) {
    const lead = bytes[i]!;
    const length = lengthOf(lead);
    if (length === 1 ? lead >= 0x80 : lead < 0xc2 || lead > 0xf4 || i + length > bytes.length) return i;
    for (let k = 1; k < length; k++) {
      const byte = bytes[i + k]!;
      const low = k > 1 ? 0x80 : lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
      const high = k > 1 ? 0xbf : lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
      if (byte < low || byte > high) return i;
    }
    i += length;
  }
  return i;
}
