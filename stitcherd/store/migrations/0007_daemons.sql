CREATE TABLE daemons (                        -- what runs jobs of this database: one row for each process
  id         TEXT PRIMARY KEY,               -- the owner of the jobs that it runs
  name       TEXT NOT NULL,
  host       TEXT NOT NULL,
  state_dir  TEXT NOT NULL,                  -- one process at a time uses it, which a lock on a file makes sure of
  pid        INTEGER NOT NULL,
  role       TEXT NOT NULL CHECK (role IN ('daemon', 'worker')),
  version    TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  until      INTEGER,                        -- the end of its lease; NULL: no other process can use the database
  executors  TEXT,                           -- those that can be reached from it, as JSON; NULL: not known yet
  workers    INTEGER NOT NULL,
  gone       INTEGER NOT NULL DEFAULT 0      -- 1: it has left, or its lease is over, and others recover its jobs
) STRICT;
ALTER TABLE jobs ADD COLUMN worker TEXT;     -- the name of the process that runs it, or ran it last
