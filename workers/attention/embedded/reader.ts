import type { Answerer, AttentionBackend } from '../../../shared/attention.ts';
import { lexicalCounts, scoreLexically } from '../../../shared/lexical.ts';
import { sought } from '../../../shared/scan/second.ts';
import { standings } from '../../../shared/selection.ts';
import { shortlist } from '../../answer/shortlist.ts';
import { answerSpan } from '../../answer/span.ts';
import type { Graph } from './graph.ts';
import { encodeQuestion, encodeSought, layOut, layOutParts, layOutToAnswer } from './layout.ts';
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
      const { model, max_question_tokens, settings, answer } = await parts.manifest();
      const { again_below } = answer;
      return { model, max_question_tokens, settings, ...(again_below !== undefined && { again_below }) };
    },

    async countTokens(sentences) {
      const tokenizer = await parts.tokenizer();
      return sentences.map((sentence) => tokenizer.encode(sentence).length);
    },

    async score({ question, found, windows }) {
      const [manifest, tokenizer] = await Promise.all([parts.manifest(), parts.tokenizer()]);
      const lookedFor = encodeSought(question, found, tokenizer, manifest);
      const scan = await parts.scan();
      const scores = [];
      for (const { sentences } of windows) {
        const ids = sentences.map((sentence) => tokenizer.encode(sentence));
        scores.push(await scanWindow(scan, layOut(ids, lookedFor, manifest)));
      }
      return { windows: scores };
    },

    async answer({ question, evidence, found, counts }) {
      const [manifest, tokenizer] = await Promise.all([parts.manifest(), parts.tokenizer()]);
      const asked = encodeQuestion(question, tokenizer, manifest);
      const lookedFor = encodeSought(question, found, tokenizer, manifest);
      const all = evidence.map((text) => {
        const ids = tokenizer.encode(text);
        return { text, ids, tokens: ids.length };
      });
      const [scan, answer] = await Promise.all([parts.scan(), parts.answer()]);
      const standingOf = async (sentences: typeof all) => {
        const scores = await scanWindow(scan, layOut(idsOf(sentences), lookedFor, manifest));
        const words = counts
          ? scoreLexically(counts, sentences, 0)
          : scoreLexically(lexicalCounts(sought(question, found)), sentences, sentences.length);
        return standings(scores, manifest.settings, words.scores);
      };
      let chosen = all.map((_, i) => i);
      const budget = manifest.settings.cache_tokens;
      if (all.reduce((sum, { tokens }) => sum + tokens, 0) > budget) {
        const layouts = layOutParts(idsOf(all), asked, manifest);
        const weight = manifest.answer.shortlist_weight;
        chosen = await shortlist(answer, all, layouts, await standingOf(all), weight, budget);
      }
      const read = chosen.map((i) => all[i]!);
      const marked = await answerSpan(
        answer,
        {
          sentences: read.map((s) => s.text),
          bytes: read.map(({ ids }) => ids.map((id) => tokenizer.byteLength(id))),
          layout: layOutToAnswer(idsOf(read), asked, manifest),
          standing: await standingOf(read),
        },
        manifest.answer,
      );
      const relevance = evidence.map(() => 0);
      marked.relevance.forEach((share, i) => {
        relevance[chosen[i]!] = share;
      });
      const spans = marked.spans.map((span) => ({ ...span, sentence: chosen[span.sentence]! }));
      return { ...marked, spans, relevance };
    },
  };
}

const idsOf = (sentences: { ids: number[] }[]) => sentences.map((s) => s.ids);
