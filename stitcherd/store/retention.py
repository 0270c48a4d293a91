"""Deletes old events, bodies and hits in batches; never anything of an unfinished job."""

import sqlite3

import aiosqlite

RETENTION_BATCH = 2000  # rows per transaction, so that other writes do not wait long


def prune_events(db: sqlite3.Connection, before: int) -> int:
    """Delete a batch of the oldest events from before a time (ms) and return how many there were.

    The newest deleted id is stored: a client that asks for events after an older cursor must be told.
    """
    gone = db.execute(
        "DELETE FROM events WHERE id IN (SELECT e.id FROM events e LEFT JOIN jobs j ON j.key = e.job"
        " WHERE e.at < ? AND (j.status IS NULL OR j.status IN ('COMPLETED', 'FAILED', 'CANCELLED'))"
        " ORDER BY e.id LIMIT ?) RETURNING id",
        (before, RETENTION_BATCH),
    ).fetchall()
    if gone:
        db.execute(
            "INSERT INTO meta (name, value) VALUES ('pruned_through', ?) ON CONFLICT (name)"
            " DO UPDATE SET value = max(CAST(value AS INTEGER), CAST(excluded.value AS INTEGER))",
            (str(max(row["id"] for row in gone)),),
        )
    return len(gone)


def prune_bodies(db: sqlite3.Connection, before: int) -> int:
    """Delete a batch of bodies of deliveries received before a time (ms) and return how many there were."""
    return db.execute(
        "DELETE FROM delivery_bodies WHERE delivery IN (SELECT b.delivery FROM delivery_bodies b"
        " JOIN deliveries d ON d.key = b.delivery LEFT JOIN jobs j ON j.id = d.job_id"
        " WHERE d.received_at < ? AND (j.status IS NULL OR j.status IN ('COMPLETED', 'FAILED', 'CANCELLED'))"
        " ORDER BY b.delivery LIMIT ?)",
        (before, RETENTION_BATCH),
    ).rowcount


def prune_hits(db: sqlite3.Connection, before: int) -> int:
    """Delete a batch of hits from before a time (ms) and return how many there were."""
    return db.execute(
        "DELETE FROM hits WHERE (limit_key, at, job) IN (SELECT limit_key, at, job FROM hits WHERE at < ? LIMIT ?)",
        (before, RETENTION_BATCH),
    ).rowcount


async def past_retention(db: aiosqlite.Connection, job_ids: list[str], before: int) -> list[str]:
    """Return those of the jobs that ended before a time (ms), or that do not exist."""
    kept = set()
    for job_id in job_ids:
        async with db.execute(
            "SELECT 1 FROM jobs WHERE id = ? AND (completed_at IS NULL OR completed_at >= ?)", (job_id, before)
        ) as found:
            if await found.fetchone():
                kept.add(job_id)
    return [job_id for job_id in job_ids if job_id not in kept]
