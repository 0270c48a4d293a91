ALTER TABLE delivery_bodies ADD COLUMN zstd INTEGER NOT NULL DEFAULT 0;  -- 1: the body is compressed
