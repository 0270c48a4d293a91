CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta (name, value) VALUES ('instance', lower(hex(randomblob(16))));

CREATE TABLE rails (
  digest    TEXT PRIMARY KEY,             -- SHA-256 of the text
  text      TEXT NOT NULL,
  loaded_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE decisions (
  key      INTEGER PRIMARY KEY,
  document TEXT NOT NULL
) STRICT;

CREATE TABLE deliveries (
  key         INTEGER PRIMARY KEY AUTOINCREMENT,
  id          TEXT NOT NULL UNIQUE,
  tail        TEXT NOT NULL,              -- the id's last 12 characters, reversed: a suffix becomes a range
  source      TEXT NOT NULL,
  kind        TEXT NOT NULL,
  workspace   TEXT NOT NULL,
  external_id TEXT,
  received_at INTEGER NOT NULL,
  event       TEXT NOT NULL,
  action      TEXT,
  trigger     TEXT,
  sender      TEXT,
  repository  TEXT,
  thread      TEXT,
  body_bytes  INTEGER NOT NULL,
  body_sha256 TEXT NOT NULL,
  secret      INTEGER NOT NULL,
  headers     TEXT NOT NULL,
  actor       TEXT NOT NULL,
  verdict     TEXT NOT NULL,
  reason      TEXT NOT NULL,
  job_id      TEXT,
  replay_of   TEXT,
  subject     TEXT,                       -- the event itself, by whatever way it arrives; NULL: it has none
  via         TEXT NOT NULL,              -- webhook, pull, catch-up
  hook        TEXT,                       -- the sender's id of the webhook that was called, where it tells one
  decision    INTEGER REFERENCES decisions (key)
) STRICT;
-- Not unique: a sender's id is remembered for retention.dedupe, and after that it may arrive again as a new delivery.
-- Within that time the writer finds the first one before it adds a second.
CREATE INDEX deliveries_external ON deliveries (source, external_id)
  WHERE external_id IS NOT NULL AND replay_of IS NULL;
CREATE INDEX deliveries_subject ON deliveries (source, subject)
  WHERE subject IS NOT NULL AND replay_of IS NULL;
CREATE INDEX deliveries_body ON deliveries (source, body_sha256);
CREATE INDEX deliveries_tail ON deliveries (tail);
CREATE INDEX deliveries_verdict ON deliveries (verdict, key);
CREATE INDEX deliveries_received ON deliveries (received_at);

CREATE TABLE delivery_bodies (               -- a table of its own: a page of deliveries reads no body
  delivery INTEGER PRIMARY KEY REFERENCES deliveries (key),
  body     BLOB NOT NULL
) STRICT;

CREATE TABLE jobs (
  key              INTEGER PRIMARY KEY AUTOINCREMENT,
  id               TEXT NOT NULL UNIQUE,
  tail             TEXT NOT NULL,
  workspace        TEXT NOT NULL,
  agent_task_id    TEXT,
  type             TEXT NOT NULL,
  status           TEXT NOT NULL
                   CHECK (status IN ('PENDING', 'QUEUED', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED')),
  priority         INTEGER NOT NULL,
  profile          TEXT NOT NULL,
  executor         TEXT NOT NULL,
  repository       TEXT,
  ref              TEXT,
  target           TEXT,                    -- the branch that a change is for, where ref is the head of a change
  head_sha         TEXT,                    -- the head of the change that the delivery named
  start_ref        TEXT,                    -- what the newest checkout started from, NULL before the first one
  start_sha        TEXT,
  gate_base        TEXT,                    -- the commit that gates take files from
  thread_kind      TEXT,
  thread_number    INTEGER,
  thread_title     TEXT,
  thread_url       TEXT,
  thread_author    TEXT,
  attempt          INTEGER NOT NULL DEFAULT 1,
  tries_used       INTEGER NOT NULL DEFAULT 0,
  tries_max        INTEGER NOT NULL,
  on_interrupt     TEXT NOT NULL CHECK (on_interrupt IN ('fail', 'retry')),
  error            TEXT,
  usage            TEXT,
  rails_digest     TEXT NOT NULL,
  decided_under    TEXT,                    -- digest of the rails that last allowed it; NULL: ask before it starts
  delivery_id      TEXT,
  actor            TEXT NOT NULL,
  created_at       INTEGER NOT NULL,
  queued_at        INTEGER,
  started_at       INTEGER,
  completed_at     INTEGER,
  cancel_requested INTEGER NOT NULL DEFAULT 0,
  cancelled_by     TEXT,
  cancel_reason    TEXT,
  version          INTEGER NOT NULL DEFAULT 1,
  last_event       TEXT NOT NULL,
  owner            TEXT,
  decision         INTEGER REFERENCES decisions (key),
  idempotency_key  TEXT,
  request_sha256   TEXT,
  held             TEXT,                    -- why a queued job was not started when it was next in the queue
  held_until       INTEGER,                 -- it is not started before that time
  current_step     TEXT,                    -- the step of a running job: its name, type, start and time limit
  last_line        TEXT                     -- what that step said last or, of an ended job, what came of it
) STRICT;
CREATE INDEX jobs_tail ON jobs (tail);
-- Lists are read by workspace, newest first. An index keeps that order only behind columns compared for equality, so a
-- query that leaves the status open asks for each of the six: one index then serves two kinds of query.
CREATE INDEX jobs_status ON jobs (status, workspace);
CREATE INDEX jobs_type ON jobs (workspace, type, status);
CREATE INDEX jobs_repository ON jobs (workspace, repository COLLATE NOCASE, status);
CREATE INDEX jobs_repository_type ON jobs (workspace, repository COLLATE NOCASE, type, status);
CREATE INDEX jobs_profile ON jobs (workspace, profile);
CREATE INDEX jobs_agent_task ON jobs (agent_task_id, key) WHERE agent_task_id IS NOT NULL;
CREATE INDEX jobs_created ON jobs (created_at);
CREATE INDEX jobs_next ON jobs (priority DESC, key) WHERE status = 'QUEUED' AND held IS NULL;
CREATE INDEX jobs_held ON jobs (priority DESC, key) WHERE held IS NOT NULL;
CREATE INDEX jobs_ended ON jobs (completed_at) WHERE completed_at IS NOT NULL;
CREATE INDEX jobs_waited ON jobs (queued_at) WHERE status = 'QUEUED';
CREATE UNIQUE INDEX jobs_delivery ON jobs (delivery_id) WHERE delivery_id IS NOT NULL;
CREATE UNIQUE INDEX jobs_idempotency ON jobs (workspace, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE UNIQUE INDEX jobs_open_thread ON jobs (workspace, repository COLLATE NOCASE, thread_kind, thread_number, type)
  WHERE thread_number IS NOT NULL AND status IN ('PENDING', 'QUEUED', 'RUNNING');

CREATE TABLE job_texts (                     -- a table of its own: the rows that lists read stay narrow
  job      INTEGER PRIMARY KEY REFERENCES jobs (key),
  prompt   TEXT NOT NULL,
  metadata TEXT NOT NULL,
  result   TEXT
) STRICT;

CREATE TABLE job_search (                    -- the text that a search looks in: narrow, so that a scan is short
  job  INTEGER PRIMARY KEY REFERENCES jobs (key),
  text TEXT NOT NULL                         -- one line each: type, owner/name#number, title, error
) STRICT;
CREATE VIEW job_search_text AS
  SELECT key AS job,
         type || char(10)
           || coalesce(repository || coalesce('#' || thread_number, ''), '') || char(10)
           || coalesce(thread_title, '') || char(10)
           || coalesce(json_extract(error, '$.code') || ': ' || json_extract(error, '$.detail'), '') AS text
  FROM jobs;
CREATE TRIGGER job_search_insert AFTER INSERT ON jobs BEGIN
  INSERT INTO job_search (job, text) SELECT job, text FROM job_search_text WHERE job = new.key;
END;
CREATE TRIGGER job_search_update AFTER UPDATE OF error ON jobs WHEN old.error IS NOT new.error BEGIN
  UPDATE job_search SET text = (SELECT text FROM job_search_text WHERE job = new.key) WHERE job = new.key;
END;
CREATE TRIGGER job_search_delete AFTER DELETE ON jobs BEGIN
  DELETE FROM job_search WHERE job = old.key;
END;

CREATE TABLE approvals (                     -- what a job waits for, or waited for; no row: it needed no approval
  job         INTEGER PRIMARY KEY REFERENCES jobs (key),
  request     TEXT NOT NULL,
  expires_at  INTEGER NOT NULL,
  approved_by TEXT,                          -- NULL: never queue it, not by a retry either
  approver_id TEXT                           -- id of the account that approved on the thread, where it was given
) STRICT;

CREATE TABLE accounts (                      -- those that the rails name: whose login it was when it was first seen
  account     TEXT PRIMARY KEY,              -- source:login in lower case
  source      TEXT NOT NULL,
  id          TEXT NOT NULL,
  since       INTEGER NOT NULL,
  accepted_by TEXT,                          -- NULL: it was the first id seen
  changed_id  TEXT,                          -- another id that was seen under the login since then, the last one
  changed_at  INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE access_levels (                 -- what forges said a minute ago at most
  source     TEXT NOT NULL,
  repository TEXT NOT NULL,                  -- in lower case
  account_id TEXT NOT NULL,
  level      TEXT NOT NULL CHECK (level IN ('none', 'read', 'write', 'admin')),
  asked_at   INTEGER NOT NULL,
  PRIMARY KEY (source, repository, account_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE cursors (                       -- how far the lists of forges were read
  source   TEXT NOT NULL,
  name     TEXT NOT NULL,                    -- comments:owner/name
  value    TEXT,                             -- the position, JSON
  etag     TEXT,                             -- for conditional requests, as modified
  modified TEXT,
  next_at  INTEGER NOT NULL,
  error    TEXT,                             -- why it could not be read the last time
  at       INTEGER NOT NULL,
  PRIMARY KEY (source, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE hits (                          -- jobs counted by rate limits, one row per limit, kept for its window
  limit_key TEXT NOT NULL,                   -- workspace, name of the limit, and who or what it counts
  at        INTEGER NOT NULL,
  job       TEXT NOT NULL,
  PRIMARY KEY (limit_key, at, job)
) STRICT, WITHOUT ROWID;

CREATE TABLE spending (                      -- usage reported by executors, for the budgets of jobs and days
  job     INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  try     INTEGER NOT NULL,
  day     INTEGER NOT NULL,                  -- since 1970, UTC
  turns   INTEGER NOT NULL,
  usd     REAL NOT NULL,
  PRIMARY KEY (job, attempt, try, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX spending_day ON spending (day, turns, usd);

CREATE TABLE starts (                        -- written before the executor is started; a key is never reused
  job       INTEGER NOT NULL REFERENCES jobs (key),
  attempt   INTEGER NOT NULL,
  try       INTEGER NOT NULL,
  at        INTEGER NOT NULL,
  base      TEXT,                            -- the sha that the checkout is based on
  resumable INTEGER NOT NULL,                -- 1: the executor gives a reference before it begins
  reference TEXT,                            -- what the executor needs to find its run again
  PRIMARY KEY (job, attempt, try)
) STRICT, WITHOUT ROWID;

CREATE TABLE publications (                  -- written before a commit is pushed
  job      INTEGER NOT NULL REFERENCES jobs (key),
  attempt  INTEGER NOT NULL,
  at       INTEGER NOT NULL,                 -- when the attempt pushed first
  result   TEXT NOT NULL,                    -- of the job, once its branch is at this commit
  active   INTEGER NOT NULL,                 -- 1: while the attempt runs it may arrive at any time
  failures INTEGER NOT NULL DEFAULT 0,       -- pushes for which the repository could not be reached
  PRIMARY KEY (job, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE steps (
  key           INTEGER PRIMARY KEY,
  id            TEXT NOT NULL UNIQUE,
  job           INTEGER NOT NULL REFERENCES jobs (key),
  attempt       INTEGER NOT NULL,
  try           INTEGER,
  ordinal       INTEGER NOT NULL,
  phase         TEXT NOT NULL,
  type          TEXT NOT NULL,
  name          TEXT NOT NULL,
  status        TEXT NOT NULL,
  exit_code     INTEGER,
  output        TEXT NOT NULL DEFAULT '',
  output_bytes  INTEGER NOT NULL DEFAULT 0,
  last_line     TEXT,                       -- of its output, that says something
  tokens_input  INTEGER,
  tokens_output INTEGER,
  started_at    INTEGER,
  completed_at  INTEGER
) STRICT;
CREATE UNIQUE INDEX steps_place ON steps (job, attempt, ordinal);
CREATE INDEX steps_failed_gates ON steps (name, job) WHERE type = 'GATE' AND status = 'FAILED';

CREATE TABLE events (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,  -- the cursor: never reused
  job       INTEGER REFERENCES jobs (key),
  step      TEXT,
  delivery  TEXT,
  workspace TEXT,
  type      TEXT NOT NULL,
  actor     TEXT NOT NULL,
  at        INTEGER NOT NULL,
  payload   TEXT NOT NULL
) STRICT;
CREATE INDEX events_job ON events (job, id) WHERE job IS NOT NULL;

CREATE TABLE answers (                       -- what is to be at a forge, one row for each thing, and what was sent of it
  key           INTEGER PRIMARY KEY AUTOINCREMENT,
  id            TEXT NOT NULL UNIQUE,
  tail          TEXT NOT NULL,
  workspace     TEXT NOT NULL,
  source        TEXT NOT NULL,
  repository    TEXT NOT NULL,
  slot          TEXT NOT NULL,              -- comment:issue/479, reaction:comment/991/eyes, status:SHA/CONTEXT
  present_repository TEXT NOT NULL,         -- where the forge has it by now: after a rename, or with a transferred issue
  present_slot  TEXT NOT NULL,
  kind          TEXT NOT NULL CHECK (kind IN ('reaction', 'comment', 'status', 'check', 'change')),
  job_id        TEXT,                       -- the job and the delivery that it is about, the newest ones
  delivery_id   TEXT,
  desired       TEXT NOT NULL,              -- structured fields, not Markdown
  generation    INTEGER NOT NULL DEFAULT 1, -- grows with each change of `desired`
  sent          INTEGER NOT NULL DEFAULT 0, -- the generation that is at the forge
  priority      INTEGER NOT NULL,           -- what is sent first when several are due, the highest
  state         TEXT NOT NULL CHECK (state IN ('pending', 'sending', 'delivered', 'failed')),
  remote_id     TEXT,                       -- the forge's id of it
  url           TEXT,
  tries         INTEGER NOT NULL DEFAULT 0, -- since it became pending
  uncertain     INTEGER NOT NULL DEFAULT 0, -- 1: a try without a response may have created it
  due_at        INTEGER NOT NULL,
  pending_since INTEGER NOT NULL,
  taken_at      INTEGER,                    -- when the last try began
  sent_at       INTEGER,                    -- when the forge last accepted it
  error         TEXT,
  created_at    INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX answers_slot ON answers (source, repository COLLATE NOCASE, slot);
CREATE INDEX answers_present ON answers (source, present_repository COLLATE NOCASE, present_slot);
CREATE INDEX answers_due ON answers (source, priority DESC, due_at) WHERE state = 'pending';
CREATE INDEX answers_state ON answers (state, key);
CREATE INDEX answers_job ON answers (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX answers_tail ON answers (tail);

CREATE TABLE job_counts (
  workspace TEXT NOT NULL,
  status    TEXT NOT NULL,
  n         INTEGER NOT NULL,
  PRIMARY KEY (workspace, status)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER job_counts_insert AFTER INSERT ON jobs BEGIN
  INSERT INTO job_counts VALUES (new.workspace, new.status, 1)
    ON CONFLICT (workspace, status) DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER job_counts_update AFTER UPDATE OF status ON jobs WHEN old.status <> new.status BEGIN
  UPDATE job_counts SET n = n - 1 WHERE workspace = old.workspace AND status = old.status;
  INSERT INTO job_counts VALUES (new.workspace, new.status, 1)
    ON CONFLICT (workspace, status) DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER job_counts_delete AFTER DELETE ON jobs BEGIN
  UPDATE job_counts SET n = n - 1 WHERE workspace = old.workspace AND status = old.status;
END;
