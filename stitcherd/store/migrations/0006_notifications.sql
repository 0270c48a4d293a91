-- SQLite cannot change a CHECK: the table is built anew, with 'notification' as a further kind.
CREATE TABLE answers_new (                   -- what is to be at a forge or to be told, one row for each thing
  key           INTEGER PRIMARY KEY AUTOINCREMENT,
  id            TEXT NOT NULL UNIQUE,
  tail          TEXT NOT NULL,
  workspace     TEXT NOT NULL,
  source        TEXT NOT NULL,              -- of a notification the target, notify:NAME
  repository    TEXT NOT NULL,              -- empty for a notification about none
  slot          TEXT NOT NULL,              -- comment:issue/479, status:SHA/CONTEXT, notification:job.failed/EVENT
  present_repository TEXT NOT NULL,         -- where the forge has it by now: after a rename, or with a transferred issue
  present_slot  TEXT NOT NULL,
  kind          TEXT NOT NULL
                CHECK (kind IN ('reaction', 'comment', 'status', 'check', 'change', 'notification')),
  job_id        TEXT,                       -- the job and the delivery that it is about, the newest ones
  delivery_id   TEXT,
  desired       TEXT NOT NULL,              -- structured fields, not Markdown
  generation    INTEGER NOT NULL DEFAULT 1, -- grows with each change of `desired`
  sent          INTEGER NOT NULL DEFAULT 0, -- the generation that was sent
  priority      INTEGER NOT NULL,           -- what is sent first when several are due, the highest
  state         TEXT NOT NULL CHECK (state IN ('pending', 'sending', 'delivered', 'failed')),
  remote_id     TEXT,                       -- the forge's id of it
  url           TEXT,
  tries         INTEGER NOT NULL DEFAULT 0, -- since it became pending
  uncertain     INTEGER NOT NULL DEFAULT 0, -- 1: a try without a response may have created it
  due_at        INTEGER NOT NULL,
  pending_since INTEGER NOT NULL,
  taken_at      INTEGER,                    -- when the last try began
  sent_at       INTEGER,                    -- when it was last accepted
  error         TEXT,
  created_at    INTEGER NOT NULL
) STRICT;
INSERT INTO answers_new SELECT * FROM answers;
DELETE FROM sqlite_sequence WHERE name = 'answers_new';
INSERT INTO sqlite_sequence (name, seq) SELECT 'answers_new', seq FROM sqlite_sequence WHERE name = 'answers';
DROP TABLE answers;
ALTER TABLE answers_new RENAME TO answers;
CREATE UNIQUE INDEX answers_slot ON answers (source, repository COLLATE NOCASE, slot);
CREATE INDEX answers_present ON answers (source, present_repository COLLATE NOCASE, present_slot);
CREATE INDEX answers_due ON answers (source, priority DESC, due_at) WHERE state = 'pending';
CREATE INDEX answers_state ON answers (state, key);
CREATE INDEX answers_job ON answers (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX answers_tail ON answers (tail);
