-- The tables of the migrations for SQLite up to the one with this number, for PostgreSQL. The tests compare both.
-- JSON is TEXT: jsonb refuses \u0000, which strangers send. Names are compared as SQLite's NOCASE does.

-- Functions that SQLite has. A path is $.name; json, unlike jsonb, takes texts with \u0000 in other members.
CREATE FUNCTION json_extract(document TEXT, path TEXT) RETURNS TEXT
  LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN CAST(document AS json) ->> substr(path, 3);
CREATE FUNCTION json_set(document TEXT, path TEXT, value BIGINT) RETURNS TEXT
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN CAST(jsonb_set(CAST(document AS jsonb), ARRAY[substr(path, 3)], to_jsonb(value)) AS TEXT);
CREATE FUNCTION json_values(document TEXT) RETURNS TABLE (value TEXT)
  LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 10 RETURN json_array_elements_text(CAST(document AS json));

CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
);

CREATE TABLE rails (
  digest    TEXT PRIMARY KEY,             -- SHA-256 of the text
  text      TEXT NOT NULL,
  loaded_at BIGINT NOT NULL
);

CREATE TABLE decisions (
  key      BIGINT PRIMARY KEY,
  document TEXT NOT NULL
);

CREATE TABLE deliveries (
  key         BIGINT PRIMARY KEY,
  id          TEXT NOT NULL UNIQUE,
  tail        TEXT NOT NULL,              -- the id's last 12 characters, reversed: a suffix becomes a range
  source      TEXT NOT NULL,
  kind        TEXT NOT NULL,
  workspace   TEXT NOT NULL,
  external_id TEXT,
  received_at BIGINT NOT NULL,
  event       TEXT NOT NULL,
  action      TEXT,
  trigger     TEXT,
  sender      TEXT,
  repository  TEXT,
  thread      TEXT,
  body_bytes  BIGINT NOT NULL,
  body_sha256 TEXT NOT NULL,
  secret      BIGINT NOT NULL,
  headers     TEXT NOT NULL,
  actor       TEXT NOT NULL,
  verdict     TEXT NOT NULL,
  reason      TEXT NOT NULL,
  job_id      TEXT,
  replay_of   TEXT,
  subject     TEXT,                       -- the event itself, by whatever way it arrives; NULL: it has none
  via         TEXT NOT NULL,              -- webhook, pull, catch-up
  hook        TEXT,                       -- the sender's id of the webhook that was called, where it tells one
  decision    BIGINT REFERENCES decisions (key)
);
CREATE INDEX deliveries_external ON deliveries (source, external_id)
  WHERE external_id IS NOT NULL AND replay_of IS NULL;
CREATE INDEX deliveries_subject ON deliveries (source, subject)
  WHERE subject IS NOT NULL AND replay_of IS NULL;
CREATE INDEX deliveries_body ON deliveries (source, body_sha256);
CREATE INDEX deliveries_tail ON deliveries (tail);
CREATE INDEX deliveries_verdict ON deliveries (verdict, key);
CREATE INDEX deliveries_received ON deliveries (received_at, key);

CREATE TABLE delivery_bodies (               -- a table of its own: a page of deliveries reads no body
  delivery BIGINT PRIMARY KEY REFERENCES deliveries (key),
  body     BYTEA NOT NULL,
  zstd     BIGINT NOT NULL DEFAULT 0        -- 1: the body is compressed
);

CREATE TABLE jobs (
  key              BIGINT PRIMARY KEY,
  id               TEXT NOT NULL UNIQUE,
  tail             TEXT NOT NULL,
  workspace        TEXT NOT NULL,
  agent_task_id    TEXT,
  type             TEXT NOT NULL,
  status           TEXT NOT NULL
                   CHECK (status IN ('PENDING', 'QUEUED', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED')),
  priority         BIGINT NOT NULL,
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
  thread_number    BIGINT,
  thread_title     TEXT,
  thread_url       TEXT,
  thread_author    TEXT,
  attempt          BIGINT NOT NULL DEFAULT 1,
  tries_used       BIGINT NOT NULL DEFAULT 0,
  tries_max        BIGINT NOT NULL,
  on_interrupt     TEXT NOT NULL CHECK (on_interrupt IN ('fail', 'retry')),
  error            TEXT,
  usage            TEXT,
  rails_digest     TEXT NOT NULL,
  decided_under    TEXT,                    -- digest of the rails that last allowed it; NULL: ask before it starts
  delivery_id      TEXT,
  actor            TEXT NOT NULL,
  created_at       BIGINT NOT NULL,
  queued_at        BIGINT,
  started_at       BIGINT,
  completed_at     BIGINT,
  cancel_requested BIGINT NOT NULL DEFAULT 0,
  cancelled_by     TEXT,
  cancel_reason    TEXT,
  version          BIGINT NOT NULL DEFAULT 1,
  last_event       TEXT NOT NULL,
  owner            TEXT,
  decision         BIGINT REFERENCES decisions (key),
  idempotency_key  TEXT,
  request_sha256   TEXT,
  held             TEXT,                    -- why a queued job was not started when it was next in the queue
  held_until       BIGINT,                 -- it is not started before that time
  current_step     TEXT,                    -- the step of a running job: its name, type, start and time limit
  last_line        TEXT                     -- what that step said last or, of an ended job, what came of it
);
CREATE INDEX jobs_tail ON jobs (tail);
CREATE INDEX jobs_status ON jobs (status, workspace, key);
CREATE INDEX jobs_type ON jobs (workspace, type, status, key);
CREATE INDEX jobs_repository ON jobs (workspace, lower(repository COLLATE "C"), status, key);
CREATE INDEX jobs_repository_type ON jobs (workspace, lower(repository COLLATE "C"), type, status, key);
CREATE INDEX jobs_profile ON jobs (workspace, profile, key);
CREATE INDEX jobs_agent_task ON jobs (agent_task_id, key) WHERE agent_task_id IS NOT NULL;
CREATE INDEX jobs_created ON jobs (created_at);
CREATE INDEX jobs_next ON jobs (priority DESC, key) WHERE status = 'QUEUED' AND held IS NULL;
CREATE INDEX jobs_held ON jobs (priority DESC, key) WHERE held IS NOT NULL;
CREATE INDEX jobs_ended ON jobs (completed_at, key) WHERE completed_at IS NOT NULL;
CREATE INDEX jobs_waited ON jobs (queued_at) WHERE status = 'QUEUED';
CREATE UNIQUE INDEX jobs_delivery ON jobs (delivery_id) WHERE delivery_id IS NOT NULL;
CREATE UNIQUE INDEX jobs_idempotency ON jobs (workspace, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE UNIQUE INDEX jobs_open_thread ON jobs (workspace, lower(repository COLLATE "C"), thread_kind, thread_number, type)
  WHERE thread_number IS NOT NULL AND status IN ('PENDING', 'QUEUED', 'RUNNING');

CREATE TABLE job_texts (                     -- a table of its own: the rows that lists read stay narrow
  job      BIGINT PRIMARY KEY REFERENCES jobs (key),
  prompt   TEXT NOT NULL,
  metadata TEXT NOT NULL,
  result   TEXT
);

CREATE TABLE job_search (                    -- the text that a search looks in: narrow, so that a scan is short
  job  BIGINT PRIMARY KEY REFERENCES jobs (key) ON DELETE CASCADE,
  text TEXT NOT NULL                         -- one line each: type, owner/name#number, title, error
);

CREATE TABLE approvals (                     -- what a job waits for, or waited for; no row: it needed no approval
  job         BIGINT PRIMARY KEY REFERENCES jobs (key),
  request     TEXT NOT NULL,
  expires_at  BIGINT NOT NULL,
  approved_by TEXT,                          -- NULL: never queue it, not by a retry either
  approver_id TEXT                           -- id of the account that approved on the thread, where it was given
);

CREATE TABLE accounts (                      -- those that the rails name: whose login it was when it was first seen
  account     TEXT PRIMARY KEY,              -- source:login in lower case
  source      TEXT NOT NULL,
  id          TEXT NOT NULL,
  since       BIGINT NOT NULL,
  accepted_by TEXT,                          -- NULL: it was the first id seen
  changed_id  TEXT,                          -- another id that was seen under the login since then, the last one
  changed_at  BIGINT
);

CREATE TABLE access_levels (                 -- what forges said a minute ago at most
  source     TEXT NOT NULL,
  repository TEXT NOT NULL,                  -- in lower case
  account_id TEXT NOT NULL,
  level      TEXT NOT NULL CHECK (level IN ('none', 'read', 'write', 'admin')),
  asked_at   BIGINT NOT NULL,
  PRIMARY KEY (source, repository, account_id)
);

CREATE TABLE cursors (                       -- how far the lists of forges were read
  source   TEXT NOT NULL,
  name     TEXT NOT NULL,                    -- comments:owner/name
  value    TEXT,                             -- the position, JSON
  etag     TEXT,                             -- for conditional requests, as modified
  modified TEXT,
  next_at  BIGINT NOT NULL,
  error    TEXT,                             -- why it could not be read the last time
  at       BIGINT NOT NULL,
  PRIMARY KEY (source, name)
);

CREATE TABLE hits (                          -- jobs counted by rate limits, one row per limit, kept for its window
  limit_key TEXT NOT NULL,                   -- workspace, name of the limit, and who or what it counts
  at        BIGINT NOT NULL,
  job       TEXT NOT NULL,
  PRIMARY KEY (limit_key, at, job)
);

CREATE TABLE spending (                      -- usage reported by executors, for the budgets of jobs and days
  job     BIGINT NOT NULL,
  attempt BIGINT NOT NULL,
  try     BIGINT NOT NULL,
  day     BIGINT NOT NULL,                  -- since 1970, UTC
  turns   BIGINT NOT NULL,
  usd     DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (job, attempt, try, day)
);
CREATE INDEX spending_day ON spending (day, turns, usd);

CREATE TABLE starts (                        -- written before the executor is started; a key is never reused
  job       BIGINT NOT NULL REFERENCES jobs (key),
  attempt   BIGINT NOT NULL,
  try       BIGINT NOT NULL,
  at        BIGINT NOT NULL,
  base      TEXT,                            -- the sha that the checkout is based on
  resumable BIGINT NOT NULL,                -- 1: the executor gives a reference before it begins
  reference TEXT,                            -- what the executor needs to find its run again
  PRIMARY KEY (job, attempt, try)
);

CREATE TABLE publications (                  -- written before a commit is pushed
  job      BIGINT NOT NULL REFERENCES jobs (key),
  attempt  BIGINT NOT NULL,
  at       BIGINT NOT NULL,                 -- when the attempt pushed first
  result   TEXT NOT NULL,                    -- of the job, once its branch is at this commit
  active   BIGINT NOT NULL,                 -- 1: while the attempt runs it may arrive at any time
  failures BIGINT NOT NULL DEFAULT 0,       -- pushes for which the repository could not be reached
  PRIMARY KEY (job, attempt)
);

CREATE TABLE steps (
  key           BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  id            TEXT NOT NULL UNIQUE,
  job           BIGINT NOT NULL REFERENCES jobs (key),
  attempt       BIGINT NOT NULL,
  try           BIGINT,
  ordinal       BIGINT NOT NULL,
  phase         TEXT NOT NULL,
  type          TEXT NOT NULL,
  name          TEXT NOT NULL,
  status        TEXT NOT NULL,
  exit_code     BIGINT,
  output        TEXT NOT NULL DEFAULT '',
  output_bytes  BIGINT NOT NULL DEFAULT 0,
  last_line     TEXT,                       -- of its output, that says something
  tokens_input  BIGINT,
  tokens_output BIGINT,
  started_at    BIGINT,
  completed_at  BIGINT
);
CREATE UNIQUE INDEX steps_place ON steps (job, attempt, ordinal);
CREATE INDEX steps_failed_gates ON steps (name, job) WHERE type = 'GATE' AND status = 'FAILED';

CREATE TABLE events (
  id        BIGINT PRIMARY KEY,  -- the cursor: never reused
  job       BIGINT REFERENCES jobs (key),
  step      TEXT,
  delivery  TEXT,
  workspace TEXT,
  type      TEXT NOT NULL,
  actor     TEXT NOT NULL,
  at        BIGINT NOT NULL,
  payload   TEXT NOT NULL,
  hash      BYTEA                               -- SHA-256 over the hash of the event before and all of this one
);
CREATE INDEX events_job ON events (job, id) WHERE job IS NOT NULL;

CREATE TABLE job_counts (
  workspace TEXT NOT NULL,
  status    TEXT NOT NULL,
  n         BIGINT NOT NULL,
  PRIMARY KEY (workspace, status)
);

CREATE TABLE removed_events (                -- ranges of events that retention has removed, without those of before the chain
  first  BIGINT PRIMARY KEY,
  last   BIGINT NOT NULL,
  before BYTEA NOT NULL,                      -- the hash of the event before the range
  hash   BYTEA NOT NULL                       -- the hash of its last event
);
CREATE INDEX jobs_decision ON jobs (decision);
CREATE INDEX deliveries_decision ON deliveries (decision);

CREATE TABLE job_stats (
  grouping      TEXT NOT NULL CHECK (grouping IN ('hour', 'type', 'repository', 'executor')),
  start         BIGINT NOT NULL,           -- of the hour, or of the day for other groupings, in UTC
  workspace     TEXT NOT NULL,
  name          TEXT NOT NULL, -- of the type, repository or executor, empty where there is none
  completed     BIGINT NOT NULL DEFAULT 0,
  failed        BIGINT NOT NULL DEFAULT 0,
  cancelled     BIGINT NOT NULL DEFAULT 0,
  first_tries   BIGINT NOT NULL DEFAULT 0,
  later_tries   BIGINT NOT NULL DEFAULT 0,
  input_tokens  BIGINT NOT NULL DEFAULT 0,
  output_tokens BIGINT NOT NULL DEFAULT 0,
  cost_usd      DOUBLE PRECISION NOT NULL DEFAULT 0,
  durations     TEXT NOT NULL DEFAULT '{}', -- histograms: JSON objects of bucket and count (store/histograms)
  queue_waits   TEXT NOT NULL DEFAULT '{}'
);

CREATE TABLE gate_stats (
  grouping  TEXT NOT NULL CHECK (grouping IN ('hour', 'type', 'repository', 'executor')),
  start     BIGINT NOT NULL,
  workspace TEXT NOT NULL,
  name      TEXT NOT NULL,
  gate      TEXT NOT NULL,
  passed    BIGINT NOT NULL DEFAULT 0,
  failed    BIGINT NOT NULL DEFAULT 0,
  durations TEXT NOT NULL DEFAULT '{}'
);

CREATE TABLE answers (                   -- what is to be at a forge or to be told, one row for each thing
  key           BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
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
  generation    BIGINT NOT NULL DEFAULT 1, -- grows with each change of `desired`
  sent          BIGINT NOT NULL DEFAULT 0, -- the generation that was sent
  priority      BIGINT NOT NULL,           -- what is sent first when several are due, the highest
  state         TEXT NOT NULL CHECK (state IN ('pending', 'sending', 'delivered', 'failed')),
  remote_id     TEXT,                       -- the forge's id of it
  url           TEXT,
  tries         BIGINT NOT NULL DEFAULT 0, -- since it became pending
  uncertain     BIGINT NOT NULL DEFAULT 0, -- 1: a try without a response may have created it
  due_at        BIGINT NOT NULL,
  pending_since BIGINT NOT NULL,
  taken_at      BIGINT,                    -- when the last try began
  sent_at       BIGINT,                    -- when it was last accepted
  error         TEXT,
  created_at    BIGINT NOT NULL
);
CREATE UNIQUE INDEX answers_slot ON answers (source, lower(repository COLLATE "C"), slot);
CREATE INDEX answers_present ON answers (source, lower(present_repository COLLATE "C"), present_slot);
CREATE INDEX answers_due ON answers (source, priority DESC, due_at) WHERE state = 'pending';
CREATE INDEX answers_state ON answers (state, key);
CREATE INDEX answers_job ON answers (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX answers_tail ON answers (tail);

CREATE UNIQUE INDEX job_stats_cell ON job_stats (grouping, start, workspace, lower(name COLLATE "C"));

CREATE UNIQUE INDEX gate_stats_cell ON gate_stats (grouping, start, workspace, lower(name COLLATE "C"), gate);

CREATE TABLE schema_version (                -- the number of the last migration that was applied
  version BIGINT NOT NULL
);
INSERT INTO schema_version VALUES (6);

-- The highest key that a row ever had. That of the events is raised at the end of a transaction.
CREATE TABLE highest_keys (
  name TEXT PRIMARY KEY,
  seq  BIGINT NOT NULL
);
INSERT INTO highest_keys VALUES ('decisions', 0), ('deliveries', 0), ('jobs', 0), ('events', 0);
CREATE VIEW newest_keys AS
  SELECT name, greatest(seq, (SELECT max(id) FROM events)) AS seq FROM highest_keys WHERE name = 'events';

INSERT INTO meta (name, value) VALUES ('instance', replace(CAST(gen_random_uuid() AS TEXT), '-', ''));

CREATE FUNCTION count_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'INSERT' THEN
    UPDATE job_counts SET n = n - 1 WHERE workspace = old.workspace AND status = old.status;
  END IF;
  IF TG_OP <> 'DELETE' THEN
    INSERT INTO job_counts VALUES (new.workspace, new.status, 1)
      ON CONFLICT (workspace, status) DO UPDATE SET n = job_counts.n + 1;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER job_counts_rows AFTER INSERT OR DELETE ON jobs FOR EACH ROW EXECUTE FUNCTION count_job();
CREATE TRIGGER job_counts_update AFTER UPDATE OF status ON jobs FOR EACH ROW WHEN (old.status <> new.status)
  EXECUTE FUNCTION count_job();

CREATE FUNCTION write_job_search() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO job_search (job, text) VALUES (new.key, concat_ws(chr(10),
      new.type,
      coalesce(new.repository || coalesce('#' || new.thread_number, ''), ''),
      coalesce(new.thread_title, ''),
      coalesce(json_extract(new.error, '$.code') || ': ' || json_extract(new.error, '$.detail'), '')))
    ON CONFLICT (job) DO UPDATE SET text = excluded.text;
  RETURN NULL;
END $$;
CREATE TRIGGER job_search_insert AFTER INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION write_job_search();
CREATE TRIGGER job_search_update AFTER UPDATE OF error ON jobs FOR EACH ROW
  WHEN (old.error IS DISTINCT FROM new.error) EXECUTE FUNCTION write_job_search();
