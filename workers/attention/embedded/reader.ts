import type { Answerer, AttentionBackend } from '../../../shared/attention.ts';
import { lexicalCounts, scoreLexically } from '../../../shared/lexical.ts';
import { standings } from '../../../shared/selection.ts';
import { answerSpan } from '../../answer/span.ts';
import type { Graph } from './graph.ts';
import { encodeQuestion, layOut, layOutToAnswer } from './layout.ts';
import type { Manifest } from './manifest.ts';
import { scanWindow } from './scan.ts';
import type { ReaderTokenizer } from './tokenizer.ts';

/** The reader's parts, each loaded when it is first asked for. */
export interface ReaderParts {
  manifest(): Promise<Manifest>;
  tokenizer(): Promise<ReaderTokenizer>;
  scan(): Promise<Graph>;
  answer(): Promise<Graph>;
}

/** The embedded model behind both seams: it reads attention and answers from the evidence. */
export function createReader(parts: ReaderParts): AttentionBackend & Answerer {
  return {
    async describe() {
      const { model, max_question_tokens, settings } = await parts.manifest();
      return { model, max_question_tokens, settings };
    },

    async countTokens(sentences) {
      const tokenizer = await parts.tokenizer();
      return sentences.map((sentence) => tokenizer.encode(sentence).length);
    },

    async score({ question, windows }) {
      const [manifest, tokenizer] = await Promise.all([parts.manifest(), parts.tokenizer()]);
      const asked = encodeQuestion(question, tokenizer, manifest);
      const scan = await parts.scan();
      const scores = [];
      for (const { sentences } of windows) {
        const ids = sentences.map((sentence) => tokenizer.encode(sentence));
        scores.push(await scanWindow(scan, layOut(ids, asked, manifest)));
      }
      return { windows: scores };
    },

    async answer({ question, evidence }) {
      const [manifest, tokenizer] = await Promise.all([parts.manifest(), parts.tokenizer()]);
      const asked = encodeQuestion(question, tokenizer, manifest);
      const ids = evidence.map((sentence) => tokenizer.encode(sentence));
      const weighed = await scanWindow(await parts.scan(), layOut(ids, asked, manifest));
      const { scores: words } = scoreLexically(lexicalCounts(question), evidence, evidence.length);
      const read = {
        sentences: evidence,
        bytes: ids.map((tokens) => tokens.map((id) => tokenizer.byteLength(id))),
        layout: layOutToAnswer(ids, asked, manifest),
        standing: standings(weighed, manifest.settings, words),
      };
      return answerSpan(await parts.answer(), read, manifest.answer);
    },
  };
}
