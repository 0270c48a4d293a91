CREATE TABLE daemons (                        -- what runs jobs of this database: one row for each process
  id         TEXT PRIMARY KEY,               -- the owner of the jobs that it runs
  name       TEXT NOT NULL,
  host       TEXT NOT NULL,
  state_dir  TEXT NOT NULL,                  -- one process at a time uses it, which a lock on a file makes sure of
  pid        BIGINT NOT NULL,
  role       TEXT NOT NULL CHECK (role IN ('daemon', 'worker')),
  version    TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  until      BIGINT,                         -- the end of its lease; NULL: no other process can use the database
  executors  TEXT,                           -- those that can be reached from it, as JSON; NULL: not known yet
  workers    BIGINT NOT NULL,
  gone       BIGINT NOT NULL DEFAULT 0       -- 1: it has left, or its lease is over, and others recover its jobs
);
ALTER TABLE jobs ADD COLUMN worker TEXT;     -- the name of the process that runs it, or ran it last

-- The time in milliseconds, by the one clock that all processes share.
CREATE FUNCTION database_ms() RETURNS BIGINT
  LANGUAGE sql VOLATILE RETURN CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT);

-- Whoever takes jobs, or runs one whose cancel is requested, need not wait for its next look. In meta are the pause and
-- the rails in force.
CREATE FUNCTION tell_of_jobs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('stitcher', 'jobs');
  RETURN NULL;
END $$;
CREATE TRIGGER jobs_told_insert AFTER INSERT ON jobs FOR EACH ROW WHEN (new.status = 'QUEUED')
  EXECUTE FUNCTION tell_of_jobs();
CREATE TRIGGER jobs_told_update AFTER UPDATE OF status, cancel_requested ON jobs FOR EACH ROW
  WHEN (old.status <> new.status OR old.cancel_requested <> new.cancel_requested) EXECUTE FUNCTION tell_of_jobs();
CREATE TRIGGER meta_told AFTER INSERT OR UPDATE OR DELETE ON meta FOR EACH ROW EXECUTE FUNCTION tell_of_jobs();
