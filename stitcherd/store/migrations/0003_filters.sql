-- Lists are read by workspace, newest first. An index holds that order behind equal columns only, so a query that
-- leaves status open asks for each of the six: that is one index for two questions.
DROP INDEX jobs_status;
DROP INDEX jobs_type;
DROP INDEX jobs_status_type;
DROP INDEX jobs_repository;
DROP INDEX jobs_repository_status;
CREATE INDEX jobs_status ON jobs (status, workspace);
CREATE INDEX jobs_type ON jobs (workspace, type, status);
CREATE INDEX jobs_repository ON jobs (workspace, repository COLLATE NOCASE, status);
CREATE INDEX jobs_repository_type ON jobs (workspace, repository COLLATE NOCASE, type, status);
CREATE INDEX jobs_profile ON jobs (workspace, profile);
CREATE INDEX jobs_created ON jobs (created_at);
CREATE INDEX steps_failed_gates ON steps (name, job) WHERE type = 'GATE' AND status = 'FAILED';

CREATE TABLE job_search (                    -- what free text is looked for in: narrow, so that a scan is short
  job  INTEGER PRIMARY KEY REFERENCES jobs (key),
  text TEXT NOT NULL                         -- a line each: type, owner/name#number, title, error
) STRICT;
CREATE VIEW job_search_text AS
  SELECT key AS job,
         type || char(10)
           || coalesce(repository || coalesce('#' || thread_number, ''), '') || char(10)
           || coalesce(thread_title, '') || char(10)
           || coalesce(json_extract(error, '$.code') || ': ' || json_extract(error, '$.detail'), '') AS text
  FROM jobs;
INSERT INTO job_search (job, text) SELECT job, text FROM job_search_text;
CREATE TRIGGER job_search_insert AFTER INSERT ON jobs BEGIN
  INSERT INTO job_search (job, text) SELECT job, text FROM job_search_text WHERE job = new.key;
END;
CREATE TRIGGER job_search_update AFTER UPDATE OF error ON jobs WHEN old.error IS NOT new.error BEGIN
  UPDATE job_search SET text = (SELECT text FROM job_search_text WHERE job = new.key) WHERE job = new.key;
END;
CREATE TRIGGER job_search_delete AFTER DELETE ON jobs BEGIN
  DELETE FROM job_search WHERE job = old.key;
END;
