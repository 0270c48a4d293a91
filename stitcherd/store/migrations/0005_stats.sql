-- What became of jobs, counted as it happens (store/counting): a million jobs are never scanned for statistics.
CREATE TABLE job_stats (
  grouping      TEXT NOT NULL CHECK (grouping IN ('hour', 'type', 'repository', 'executor')),
  start         INTEGER NOT NULL,           -- of the hour, or of the day for other groupings, in UTC
  workspace     TEXT NOT NULL,
  name          TEXT NOT NULL COLLATE NOCASE, -- of the type, repository or executor, empty where there is none
  completed     INTEGER NOT NULL DEFAULT 0,
  failed        INTEGER NOT NULL DEFAULT 0,
  cancelled     INTEGER NOT NULL DEFAULT 0,
  first_tries   INTEGER NOT NULL DEFAULT 0,
  later_tries   INTEGER NOT NULL DEFAULT 0,
  input_tokens  INTEGER NOT NULL DEFAULT 0,
  output_tokens INTEGER NOT NULL DEFAULT 0,
  cost_usd      REAL NOT NULL DEFAULT 0,
  durations     TEXT NOT NULL DEFAULT '{}', -- histograms: JSON objects of bucket and count (store/histograms)
  queue_waits   TEXT NOT NULL DEFAULT '{}',
  PRIMARY KEY (grouping, start, workspace, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE gate_stats (
  grouping  TEXT NOT NULL CHECK (grouping IN ('hour', 'type', 'repository', 'executor')),
  start     INTEGER NOT NULL,
  workspace TEXT NOT NULL,
  name      TEXT NOT NULL COLLATE NOCASE,
  gate      TEXT NOT NULL,
  passed    INTEGER NOT NULL DEFAULT 0,
  failed    INTEGER NOT NULL DEFAULT 0,
  durations TEXT NOT NULL DEFAULT '{}',
  PRIMARY KEY (grouping, start, workspace, name, gate)
) STRICT, WITHOUT ROWID;

-- Count what ended before: of each job its last attempt, and of each gate all runs that have ended.
CREATE TEMP TABLE groupings (grouping TEXT PRIMARY KEY, span INTEGER NOT NULL);
INSERT INTO groupings VALUES ('hour', 3600000), ('type', 86400000), ('repository', 86400000), ('executor', 86400000);
CREATE TEMP TABLE buckets (bucket INTEGER NOT NULL, bound INTEGER PRIMARY KEY);
INSERT INTO buckets
  WITH RECURSIVE each (bucket, bound) AS (
    VALUES (0, 0) UNION ALL SELECT bucket + 1, max(bound + 1, bound * 6 / 5) FROM each WHERE bucket < 119)
  SELECT bucket, bound FROM each;

-- Of each job only what is counted, with its buckets: what is sorted for each grouping is a fraction of its row.
CREATE TEMP TABLE ended_jobs AS
  SELECT completed_at, workspace, type, coalesce(repository, '') AS repository, executor, status,
         status = 'COMPLETED' AND tries_used <= 1 AS at_first, json_extract(usage, '$.inputTokens') AS input_tokens,
         json_extract(usage, '$.outputTokens') AS output_tokens, json_extract(usage, '$.costUsd') AS cost_usd,
         CASE WHEN status <> 'CANCELLED' AND started_at IS NOT NULL THEN
           (SELECT bucket FROM buckets WHERE bound <= max(completed_at - started_at, 0) ORDER BY bound DESC LIMIT 1)
         END AS duration,
         CASE WHEN status <> 'CANCELLED' AND started_at IS NOT NULL THEN
           (SELECT bucket FROM buckets WHERE bound <= max(started_at - queued_at, 0) ORDER BY bound DESC LIMIT 1)
         END AS queue_wait
  FROM jobs WHERE completed_at IS NOT NULL;
CREATE TEMP VIEW grouped_jobs AS
  SELECT g.grouping, completed_at / g.span * g.span AS start, workspace,
         CASE g.grouping WHEN 'hour' THEN '' WHEN 'type' THEN type WHEN 'executor' THEN executor ELSE repository
           END COLLATE NOCASE AS name,
         status = 'COMPLETED' AS completed, status = 'FAILED' AS failed, status = 'CANCELLED' AS cancelled, at_first,
         input_tokens, output_tokens, cost_usd, duration, queue_wait
  FROM groupings g CROSS JOIN ended_jobs;
INSERT INTO job_stats (grouping, start, workspace, name, completed, failed, cancelled, first_tries, later_tries,
                       input_tokens, output_tokens, cost_usd, durations)
  SELECT grouping, start, workspace, name, sum(completed), sum(failed), sum(cancelled), sum(first), sum(later),
         coalesce(sum(input), 0), coalesce(sum(output), 0), coalesce(sum(cost), 0.0),
         json_group_object(duration, n) FILTER (WHERE duration IS NOT NULL)
  FROM (SELECT grouping, start, workspace, name, duration, count(*) AS n, sum(completed) AS completed,
               sum(failed) AS failed, sum(cancelled) AS cancelled, sum(at_first) AS first,
               sum(completed + failed) - sum(at_first) AS later, sum(input_tokens) AS input,
               sum(output_tokens) AS output, sum(cost_usd) AS cost
        FROM grouped_jobs GROUP BY grouping, start, workspace, name, duration)
  GROUP BY grouping, start, workspace, name;
UPDATE job_stats SET queue_waits = found.histogram FROM (
  SELECT grouping, start, workspace, name, json_group_object(queue_wait, n) AS histogram FROM (
    SELECT grouping, start, workspace, name, queue_wait, count(*) AS n
    FROM grouped_jobs WHERE queue_wait IS NOT NULL GROUP BY grouping, start, workspace, name, queue_wait)
  GROUP BY grouping, start, workspace, name) found
  WHERE (job_stats.grouping, job_stats.start, job_stats.workspace, job_stats.name)
      = (found.grouping, found.start, found.workspace, found.name);

CREATE TEMP VIEW ended_gates AS
  SELECT g.grouping, s.completed_at / g.span * g.span AS start, j.workspace,
         CASE g.grouping WHEN 'hour' THEN '' WHEN 'type' THEN j.type WHEN 'executor' THEN j.executor
           ELSE coalesce(j.repository, '') END COLLATE NOCASE AS name,
         s.name AS gate, s.status,
         (SELECT bucket FROM buckets WHERE bound <= max(s.completed_at - s.started_at, 0) ORDER BY bound DESC LIMIT 1)
           AS bucket
  FROM steps s JOIN jobs j ON j.key = s.job CROSS JOIN groupings g
  WHERE s.type = 'GATE' AND s.status IN ('COMPLETED', 'FAILED') AND s.started_at IS NOT NULL
    AND s.completed_at IS NOT NULL;
INSERT INTO gate_stats
  SELECT grouping, start, workspace, name, gate, sum(passed), sum(failed), json_group_object(bucket, passed + failed)
  FROM (SELECT grouping, start, workspace, name, gate, bucket,
               sum(status = 'COMPLETED') AS passed, sum(status = 'FAILED') AS failed
        FROM ended_gates GROUP BY grouping, start, workspace, name, gate, bucket)
  GROUP BY grouping, start, workspace, name, gate;

DROP VIEW grouped_jobs;
DROP TABLE ended_jobs;
DROP VIEW ended_gates;
DROP TABLE groupings;
DROP TABLE buckets;
