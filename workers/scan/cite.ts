import { unitIndex } from '../../durable-objects/blocks.ts';
import type { Citation, SessionApi } from '../../durable-objects/types.ts';
import type { AnswerSpan } from '../../shared/attention.ts';
import type { Sentence } from '../../shared/sentence.ts';

/** Code points of context on either side: enough to find the quote again in a text that has moved. */
const CONTEXT = 32;

/**
 * A span of a sentence as position and quote in its document.
 *
 * @see https://www.w3.org/TR/annotation-model/#selectors
 */
export async function cite(session: SessionApi, sentence: Sentence, span: AnswerSpan): Promise<Citation> {
  const { document, text } = sentence;
  const start = sentence.start + span.start;
  const end = sentence.start + span.end;
  const [prefix, suffix] = await Promise.all([
    session.readText(document, Math.max(0, start - CONTEXT), start),
    session.readText(document, end, end + CONTEXT),
  ]);
  return {
    document,
    start,
    end,
    exact: text.slice(unitIndex(text, span.start), unitIndex(text, span.end)),
    prefix: prefix ?? '',
    suffix: suffix ?? '',
  };
}
