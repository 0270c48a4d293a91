-- How many jobs ended lately, and since when the first one waits, without a look at all the others.
CREATE INDEX jobs_ended ON jobs (completed_at) WHERE completed_at IS NOT NULL;
CREATE INDEX jobs_waited ON jobs (queued_at) WHERE status = 'QUEUED';
