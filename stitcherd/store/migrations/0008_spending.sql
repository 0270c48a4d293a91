CREATE TABLE spending (                      -- what executors reported, for the budgets of jobs and days
  job     INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  try     INTEGER NOT NULL,
  day     INTEGER NOT NULL,                  -- since 1970, UTC
  turns   INTEGER NOT NULL,
  usd     REAL NOT NULL,
  PRIMARY KEY (job, attempt, try, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX spending_day ON spending (day, turns, usd);
