ALTER TABLE daemons ADD COLUMN state_id TEXT;  -- of its state directory; NULL: of an earlier version, as are the others
ALTER TABLE daemons ADD COLUMN lock_id TEXT;   -- the file of its lock, on the running machine
ALTER TABLE daemons ADD COLUMN machine TEXT;   -- where its processes can be ended
ALTER TABLE jobs ADD COLUMN state_id TEXT;     -- the state directory of the process that runs it, or ran it last
