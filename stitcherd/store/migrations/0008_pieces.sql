-- The outputs of attempts where they are kept in the database, that is in PostgreSQL; a SQLite file has none: there they
-- are files in the state directory.
CREATE TABLE pieces (
  job     INTEGER NOT NULL REFERENCES jobs (key),
  attempt INTEGER NOT NULL,
  output  TEXT NOT NULL,                     -- the name of its file: 1.log, 1.raw.log, 1.prompts.jsonl, change.diff
  start   INTEGER NOT NULL,                  -- how many bytes of the output are before the piece
  data    BLOB NOT NULL,
  PRIMARY KEY (job, attempt, output, start)
) STRICT, WITHOUT ROWID;
