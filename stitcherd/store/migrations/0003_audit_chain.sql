-- SHA-256 over the hash of the event before and all of this one (shared/audit.py); NULL: older than the chain
ALTER TABLE events ADD COLUMN hash BLOB;
-- The chain begins after the events that are there already: SQL has no SHA-256.
INSERT INTO meta (name, value) SELECT 'chained_after', seq FROM sqlite_sequence WHERE name = 'events';

CREATE TABLE removed_events (                -- ranges of events that retention has removed, without those of before the chain
  first  INTEGER PRIMARY KEY,
  last   INTEGER NOT NULL,
  before BLOB NOT NULL,                      -- the hash of the event before the range
  hash   BLOB NOT NULL                       -- the hash of its last event
) STRICT;
