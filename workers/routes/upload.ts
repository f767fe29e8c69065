import { BlockBuilder } from '../../durable-objects/blocks.ts';
import type { Block, DocumentInfo, SessionApi, Upload } from '../../durable-objects/types.ts';
import { BinaryText, InvalidUtf8, SentenceSegmenter, Utf8Decoder } from '../../shared/sentences/index.ts';
import { Problem } from '../middleware/problem.ts';

/** Bytes read and decoded at a time, however large the chunks come: bounds what is in memory between two appends. */
const STEP = 64 * 1024;

/**
 * Streams a body into the session block by block. A document counts only once it is whole: when the stream breaks or turns out not to
 * be text, what had come of it is dropped.
 */
export async function store(
  session: SessionApi,
  { document, upload }: Upload,
  body: ReadableStream<Uint8Array> | null,
): Promise<DocumentInfo> {
  try {
    let number = 0;
    let blank = true;
    const append = async (block: Block | null) => {
      if (!block) return;
      blank &&= block.text.trim() === '';
      if (!(await session.append(document.id, upload, number, block))) throw superseded;
      number += 1;
    };
    const blocks = new BlockBuilder();
    for await (const sentences of segments(body)) {
      for (const sentence of sentences) await append(blocks.add(sentence));
    }
    await append(blocks.close());
    if (blank) throw empty;
    const finished = await session.finish(document.id, upload);
    if (!finished) throw superseded;
    return finished;
  } catch (error) {
    await session.drop(document.id, upload);
    throw asProblem(error);
  }
}

async function* segments(body: ReadableStream<Uint8Array> | null) {
  const decoder = new Utf8Decoder();
  const segmenter = new SentenceSegmenter();
  for await (const bytes of read(body)) yield segmenter.push(decoder.decode(bytes));
  yield segmenter.push(decoder.finish());
  yield segmenter.flush();
}

/** A body through one buffer: a new one each time piles up outside the heap until some collection, 90 MB for a body of 100 MB. */
async function* read(body: ReadableStream<Uint8Array> | null) {
  if (!body) return;
  const reader = body.getReader({ mode: 'byob' });
  let buffer = new Uint8Array(STEP);
  for (;;) {
    const { done, value } = await reader.read(buffer);
    if (done) return;
    yield value;
    buffer = new Uint8Array(value.buffer);
  }
}

function asProblem(error: unknown): unknown {
  if (error instanceof InvalidUtf8) {
    return new Problem(
      422,
      'invalid-utf8',
      'The document is not valid UTF-8',
      `The first malformed sequence begins at byte ${error.byte}.`,
      'Convert the file to UTF-8, for instance with iconv -f WINDOWS-1252 -t UTF-8, and send it again.',
      { byte: error.byte },
    );
  }
  if (error instanceof BinaryText) {
    return new Problem(
      422,
      'binary-document',
      'The document is not text',
      `It holds binary data at byte ${error.byte}.`,
      'Extract its text first; PDF, Office and compressed files are not read as they are.',
      { byte: error.byte },
    );
  }
  return error;
}

const empty = new Problem(
  422,
  'empty-document',
  'The document is empty',
  'It holds no text besides white space.',
  'Check the file, and that it is sent as the body of the request.',
);

const superseded = new Problem(
  409,
  'upload-superseded',
  'The upload was replaced',
  'The same document was begun anew, or its session deleted, while this upload ran.',
  'Keep to one upload for each Idempotency-Key.',
);
