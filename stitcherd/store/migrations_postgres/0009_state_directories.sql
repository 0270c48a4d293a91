ALTER TABLE daemons ADD COLUMN state_id TEXT;  -- of its state directory; NULL: of an earlier version, as are the others
ALTER TABLE daemons ADD COLUMN lock_id TEXT;   -- the file of its lock, on the running machine
ALTER TABLE daemons ADD COLUMN machine TEXT;   -- where its processes can be ended
ALTER TABLE jobs ADD COLUMN state_id TEXT;     -- the state directory of the process that runs it, or ran it last

-- What nobody can use or reach any more is known at once, and so is what somebody can.
CREATE TRIGGER daemons_told AFTER UPDATE OF executors, gone ON daemons FOR EACH ROW
  WHEN (old.executors IS DISTINCT FROM new.executors OR old.gone <> new.gone) EXECUTE FUNCTION tell_of_jobs();
