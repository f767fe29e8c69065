import { restOfBlock, unitIndex } from './blocks.ts';
import type { Block, DocumentInfo, Size, TextRun, Upload } from './types.ts';

interface DocumentRow extends Record<string, SqlStorageValue> {
  number: number;
  id: string;
  name: string;
  upload: string;
  complete: number;
  blocks: number;
  sentences: number;
  code_points: number;
  bytes: number;
  first: number | null;
}

interface BlockRow extends Record<string, SqlStorageValue> {
  number: number;
  first: number;
  start: number;
  text: string;
  lengths: string;
}

const info = (row: DocumentRow): DocumentInfo => ({
  id: row.id,
  name: row.name,
  complete: row.complete === 1,
  sentences: row.sentences,
  code_points: row.code_points,
  bytes: row.bytes,
});

/**
 * Documents of a session, append-only. A document counts only once it is complete: then it takes its place after those before it, so
 * that a sentence's position over all documents never changes. An interrupted one is dropped and may be sent again.
 */
export class Documents {
  private readonly sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.sql = sql;
  }

  list(): DocumentInfo[] {
    return this.sql
      .exec<DocumentRow>('SELECT * FROM document ORDER BY complete DESC, first, number')
      .toArray()
      .map(info);
  }

  get(id: string): DocumentInfo | null {
    const row = this.row(id);
    return row ? info(row) : null;
  }

  /** All complete documents together. */
  size(): Size {
    return this.sql
      .exec<{ sentences: number; bytes: number }>(
        'SELECT coalesce(sum(sentences), 0) AS sentences, coalesce(sum(bytes), 0) AS bytes FROM document WHERE complete = 1',
      )
      .one();
  }

  /** Begins a document; the same key again begins it anew, or tells that it is there already. */
  open(name: string, key: string | null, now: number): Upload | { complete: DocumentInfo } {
    const before = key === null ? null : this.find('key', key);
    if (before?.complete) return { complete: info(before) };
    if (before) this.remove(before.number);
    const id = before?.id ?? crypto.randomUUID();
    const upload = crypto.randomUUID();
    this.sql.exec(
      'INSERT INTO document (id, key, name, upload, touched) VALUES (?, ?, ?, ?, ?)',
      id,
      key,
      name,
      upload,
      now,
    );
    return { document: info(this.row(id)!), upload };
  }

  /** Appends block `number`; one that is there already changes nothing. @returns false when the upload has lost its right */
  append(id: string, upload: string, number: number, block: Block, now: number): boolean {
    const row = this.uploading(id, upload);
    if (!row || number > row.blocks) return false;
    if (number < row.blocks) return true;
    this.sql.exec(
      'INSERT INTO block (document, number, first, start, text, lengths) VALUES (?, ?, ?, ?, ?, ?)',
      row.number,
      number,
      row.sentences,
      block.start,
      block.text,
      JSON.stringify(block.lengths),
    );
    this.sql.exec(
      `UPDATE document SET blocks = blocks + 1, sentences = sentences + ?, code_points = code_points + ?, bytes = bytes + ?,
       touched = ? WHERE number = ?`,
      block.lengths.length,
      block.code_points,
      block.bytes,
      now,
      row.number,
    );
    return true;
  }

  /** The document is whole: it takes its place after the others. */
  finish(id: string, upload: string): DocumentInfo | null {
    const row = this.uploading(id, upload);
    if (!row) return null;
    this.sql.exec(
      'UPDATE document SET complete = 1, first = ? WHERE number = ?',
      this.size().sentences,
      row.number,
    );
    return this.get(id);
  }

  drop(id: string, upload: string): void {
    const row = this.uploading(id, upload);
    if (row) this.remove(row.number);
  }

  /** Drops uploads that nobody has touched since `before`. */
  dropStale(before: number): void {
    const stale = this.sql
      .exec<{ number: number }>('SELECT number FROM document WHERE complete = 0 AND touched < ?', before)
      .toArray();
    for (const { number } of stale) this.remove(number);
  }

  /** When the oldest open upload was last touched. */
  oldestOpen(): number | null {
    return this.sql
      .exec<{ t: number | null }>('SELECT min(touched) AS t FROM document WHERE complete = 0')
      .one().t;
  }

  /** Code points `start … end` of a complete document. */
  readText(id: string, start: number, end: number): string | null {
    const row = this.row(id);
    if (!row?.complete) return null;
    const blocks = this.sql.exec<BlockRow>(
      `SELECT * FROM block WHERE document = ?1 AND start < ?3 AND number >=
       (SELECT coalesce(max(number), 0) FROM block WHERE document = ?1 AND start <= ?2) ORDER BY number`,
      row.number,
      start,
      end,
    );
    let text = '';
    for (const block of blocks) {
      const from = unitIndex(block.text, Math.max(0, start - block.start));
      text += block.text.slice(from, unitIndex(block.text, Math.max(0, end - block.start)));
    }
    return text;
  }

  /** Sentences from position `cursor` over all complete documents on, to the end of their block; null past the last. */
  readSentences(cursor: number): TextRun | null {
    const row = this.sql
      .exec<DocumentRow>('SELECT * FROM document WHERE first <= ? ORDER BY first DESC LIMIT 1', cursor)
      .toArray()[0];
    if (!row || cursor >= row.first! + row.sentences) return null;
    const within = cursor - row.first!;
    const block = this.sql
      .exec<BlockRow>(
        'SELECT * FROM block WHERE document = ? AND first <= ? ORDER BY first DESC LIMIT 1',
        row.number,
        within,
      )
      .one();
    const { start, text } = block;
    return restOfBlock(row.id, { start, text, lengths: JSON.parse(block.lengths) }, within - block.first);
  }

  private row(id: string): DocumentRow | null {
    return this.find('id', id);
  }

  private uploading(id: string, upload: string): DocumentRow | null {
    const row = this.row(id);
    return row && !row.complete && row.upload === upload ? row : null;
  }

  private find(column: 'id' | 'key', value: string): DocumentRow | null {
    return (
      this.sql.exec<DocumentRow>(`SELECT * FROM document WHERE ${column} = ?`, value).toArray()[0] ?? null
    );
  }

  private remove(number: number): void {
    this.sql.exec('DELETE FROM block WHERE document = ?', number);
    this.sql.exec('DELETE FROM document WHERE number = ?', number);
  }
}
