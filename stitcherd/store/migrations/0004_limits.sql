ALTER TABLE jobs ADD COLUMN held TEXT;       -- why a queued job was not started when its turn came
CREATE INDEX jobs_held ON jobs (priority DESC, key) WHERE held IS NOT NULL;

CREATE TABLE asks (                          -- jobs that count against a rate, one row a rate; forgotten with its window
  quota TEXT NOT NULL,                       -- workspace, name of the rate and who or what it counts
  at    INTEGER NOT NULL,
  job   TEXT NOT NULL,
  PRIMARY KEY (quota, at, job)
) STRICT, WITHOUT ROWID;
