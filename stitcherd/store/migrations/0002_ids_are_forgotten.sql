-- A sender's id is remembered for retention.dedupe; after that it may come again, as a new delivery. Within it the
-- writer finds the first one before it adds a second.
DROP INDEX deliveries_external;
CREATE INDEX deliveries_external ON deliveries (source, external_id)
  WHERE external_id IS NOT NULL AND replay_of IS NULL;
