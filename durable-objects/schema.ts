/**
 * Tables of a session. Text stands in blocks of whole sentences: rows stay far below the platform's 2 MB a row, and reading on from a
 * sentence costs one row.
 */
export const schema = `
CREATE TABLE session (id TEXT NOT NULL, created INTEGER NOT NULL, used INTEGER NOT NULL);
CREATE TABLE document (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  key TEXT UNIQUE,
  name TEXT NOT NULL,
  upload TEXT NOT NULL,
  complete INTEGER NOT NULL DEFAULT 0,
  touched INTEGER NOT NULL,
  blocks INTEGER NOT NULL DEFAULT 0,
  sentences INTEGER NOT NULL DEFAULT 0,
  code_points INTEGER NOT NULL DEFAULT 0,
  bytes INTEGER NOT NULL DEFAULT 0,
  first INTEGER
);
CREATE INDEX document_first ON document (first);
CREATE TABLE block (
  document INTEGER NOT NULL,
  number INTEGER NOT NULL,
  first INTEGER NOT NULL,
  start INTEGER NOT NULL,
  text TEXT NOT NULL,
  lengths TEXT NOT NULL,
  PRIMARY KEY (document, number)
) WITHOUT ROWID;
CREATE INDEX block_first ON block (document, first);
CREATE INDEX block_start ON block (document, start);
CREATE TABLE question (
  id TEXT PRIMARY KEY,
  key TEXT UNIQUE,
  question TEXT NOT NULL,
  mode TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'running',
  created INTEGER NOT NULL,
  sentences INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  version INTEGER NOT NULL DEFAULT 0,
  state TEXT,
  result TEXT,
  lease TEXT,
  due INTEGER NOT NULL,
  takeovers INTEGER NOT NULL DEFAULT 0,
  events INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE survivor (
  question TEXT NOT NULL,
  round INTEGER NOT NULL,
  first INTEGER NOT NULL,
  sentences TEXT NOT NULL,
  PRIMARY KEY (question, round, first)
) WITHOUT ROWID;
CREATE TABLE event (
  question TEXT NOT NULL,
  id INTEGER NOT NULL,
  type TEXT NOT NULL,
  data TEXT NOT NULL,
  PRIMARY KEY (question, id)
) WITHOUT ROWID;
`;
