CREATE TABLE approvals (                     -- what a job waits for, or waited for; without a row it needed no approval
  job         INTEGER PRIMARY KEY REFERENCES jobs (key),
  terms       TEXT NOT NULL,
  expires_at  INTEGER NOT NULL,
  approved_by TEXT                           -- a job that nobody approved must never be queued, by a retry neither
) STRICT;
