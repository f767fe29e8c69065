/** A sentence of a document. Offsets count Unicode code points of the document's text. */
export interface Sentence {
  /** Id of the document it stands in. */
  document: string;
  /** First code point, inclusive. */
  start: number;
  /** Last code point, exclusive: the document's code points `start … end` are `text`, trailing white space included. */
  end: number;
  text: string;
}

/** A sentence with its length in the attention backend's tokens. */
export interface TokenizedSentence extends Sentence {
  tokens: number;
  /** Its place among all the sentences that a question reads, known once it has been read. */
  place?: number;
  /** Which of the question's words its neighbours hold (`neighbourhood` in lexical.ts), kept since they may be let go. */
  near?: string;
}
