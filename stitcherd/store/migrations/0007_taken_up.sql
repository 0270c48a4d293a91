-- For whoever goes on with a try: the sha that its checkout is based on, and whether its executor gives a reference
-- before it begins, so that without one it never began.
ALTER TABLE starts ADD COLUMN base TEXT;
ALTER TABLE starts ADD COLUMN remembers INTEGER NOT NULL DEFAULT 0;
