-- A decision is deleted with the last job or delivery that refers to it.
CREATE INDEX jobs_decision ON jobs (decision);
CREATE INDEX deliveries_decision ON deliveries (decision);
DELETE FROM decisions
  WHERE key NOT IN (SELECT decision FROM jobs WHERE decision IS NOT NULL)
    AND key NOT IN (SELECT decision FROM deliveries WHERE decision IS NOT NULL);
