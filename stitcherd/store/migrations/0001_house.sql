CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta (name, value) VALUES ('instance', lower(hex(randomblob(16))));

CREATE TABLE rails (
  revision  TEXT PRIMARY KEY,
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
  tail        TEXT NOT NULL,              -- the id's last 12 characters, backwards: a suffix becomes a range
  source      TEXT NOT NULL,
  kind        TEXT NOT NULL,
  workspace   TEXT NOT NULL,
  external_id TEXT,
  received_at INTEGER NOT NULL,
  event       TEXT NOT NULL,
  action      TEXT,
  name        TEXT,
  sender      TEXT,
  repository  TEXT,
  thread      TEXT,
  body_bytes  INTEGER NOT NULL,
  body_sha256 TEXT NOT NULL,
  secret      INTEGER NOT NULL,
  headers     TEXT NOT NULL,
  verdict     TEXT NOT NULL,
  reason      TEXT NOT NULL,
  job         TEXT,
  replay_of   TEXT,
  decision    INTEGER REFERENCES decisions (key)
) STRICT;
CREATE UNIQUE INDEX deliveries_external ON deliveries (source, external_id)
  WHERE external_id IS NOT NULL AND replay_of IS NULL;
CREATE INDEX deliveries_body ON deliveries (source, body_sha256);
CREATE INDEX deliveries_tail ON deliveries (tail);
CREATE INDEX deliveries_verdict ON deliveries (verdict, key);
CREATE INDEX deliveries_received ON deliveries (received_at);

CREATE TABLE delivery_bodies (               -- apart, so that a page of deliveries touches no body
  delivery INTEGER PRIMARY KEY REFERENCES deliveries (key),
  body     BLOB NOT NULL
) STRICT;

CREATE TABLE jobs (
  key              INTEGER PRIMARY KEY AUTOINCREMENT,
  id               TEXT NOT NULL UNIQUE,
  tail             TEXT NOT NULL,
  workspace        TEXT NOT NULL,
  agent_task       TEXT,
  type             TEXT NOT NULL,
  status           TEXT NOT NULL
                   CHECK (status IN ('PENDING', 'QUEUED', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED')),
  priority         INTEGER NOT NULL,
  profile          TEXT NOT NULL,
  executor         TEXT NOT NULL,
  repository       TEXT,
  ref              TEXT,
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
  rails            TEXT NOT NULL,
  delivery         TEXT,
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
  request_sha256   TEXT
) STRICT;
CREATE INDEX jobs_tail ON jobs (tail);
CREATE INDEX jobs_status ON jobs (status, key);
CREATE INDEX jobs_type ON jobs (type, key);
CREATE INDEX jobs_status_type ON jobs (status, type, key);
CREATE INDEX jobs_repository ON jobs (repository, key);
CREATE INDEX jobs_repository_status ON jobs (repository, status, key);
CREATE INDEX jobs_agent_task ON jobs (agent_task, key) WHERE agent_task IS NOT NULL;
CREATE UNIQUE INDEX jobs_delivery ON jobs (delivery) WHERE delivery IS NOT NULL;
CREATE UNIQUE INDEX jobs_idempotency ON jobs (workspace, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE UNIQUE INDEX jobs_open_thread ON jobs (workspace, repository, thread_kind, thread_number, type)
  WHERE thread_number IS NOT NULL AND status IN ('PENDING', 'QUEUED', 'RUNNING');

CREATE TABLE job_texts (                     -- apart, so that the rows of a list stay narrow
  job      INTEGER PRIMARY KEY REFERENCES jobs (key),
  prompt   TEXT NOT NULL,
  metadata TEXT NOT NULL,
  result   TEXT
) STRICT;

CREATE TABLE starts (                        -- written before the executor is started; never used again
  job     INTEGER NOT NULL REFERENCES jobs (key),
  attempt INTEGER NOT NULL,
  try     INTEGER NOT NULL,
  at      INTEGER NOT NULL,
  reference TEXT,                           -- what the executor needs to find its run again
  PRIMARY KEY (job, attempt, try)
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
  tokens_input  INTEGER,
  tokens_output INTEGER,
  started_at    INTEGER,
  completed_at  INTEGER
) STRICT;
CREATE UNIQUE INDEX steps_place ON steps (job, attempt, ordinal);

CREATE TABLE events (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,  -- the cursor: never used again
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
