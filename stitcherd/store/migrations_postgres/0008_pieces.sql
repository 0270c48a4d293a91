CREATE TABLE pieces (                        -- the outputs of attempts, so that any daemon can show them
  job     BIGINT NOT NULL REFERENCES jobs (key),
  attempt BIGINT NOT NULL,
  output  TEXT NOT NULL,                     -- the name of its file: 1.log, 1.raw.log, 1.prompts.jsonl, change.diff
  start   BIGINT NOT NULL,                   -- how many bytes of the output are before the piece
  data    BYTEA NOT NULL,
  PRIMARY KEY (job, attempt, output, start)
);
