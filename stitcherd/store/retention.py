"""Deletes old events, bodies, answers and hits in batches; never anything of an unfinished job."""

import sqlite3
from collections.abc import Collection
from pathlib import Path

import aiosqlite

from stitcherd.store.audit import note_removed

RETENTION_BATCH = 2000  # rows per transaction, so that other writes do not wait long

_ENDED = "('COMPLETED', 'FAILED', 'CANCELLED')"
# By id, up to the first event that is too young, so that the rest need not be read. One from the future does not count:
# the clock was wrong.
_PRUNE_EVENTS = f"""
DELETE FROM events WHERE id IN (
  SELECT e.id FROM events e LEFT JOIN jobs j ON j.key = e.job
  WHERE e.id < coalesce((SELECT id FROM events WHERE at >= :before AND at <= :now ORDER BY id LIMIT 1), {2**62})
    AND e.at < :before AND (j.status IS NULL OR j.status IN {_ENDED}) ORDER BY e.id LIMIT :limit
) RETURNING id, hash
"""


def prune_events(db: sqlite3.Connection, before: int, now: int) -> int:
    """Delete a batch of the oldest events from before a time (ms) and return how many there were.

    The newest deleted id is stored: a client that asks for events after an older cursor must be told.
    """
    gone = db.execute(_PRUNE_EVENTS, {"before": before, "now": now, "limit": RETENTION_BATCH}).fetchall()
    if gone:
        note_removed(db, gone, before, now)
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
        " WHERE d.received_at < ? AND d.verdict <> 'deciding'"
        " AND (j.status IS NULL OR j.status IN ('COMPLETED', 'FAILED', 'CANCELLED'))"
        " ORDER BY b.delivery LIMIT ?)",
        (before, RETENTION_BATCH),
    ).rowcount


def prune_answers(db: sqlite3.Connection, before: int) -> int:
    """Delete a batch of answers whose last try or wish was before a time (ms), and return how many there were."""
    return db.execute(
        "DELETE FROM answers WHERE key IN (SELECT a.key FROM answers a LEFT JOIN jobs j ON j.id = a.job_id"
        " WHERE a.state IN ('delivered', 'failed') AND a.pending_since < ?"
        " AND (j.status IS NULL OR j.status IN ('COMPLETED', 'FAILED', 'CANCELLED')) ORDER BY a.key LIMIT ?)",
        (before, RETENTION_BATCH),
    ).rowcount


def prune_hits(db: sqlite3.Connection, before: int) -> int:
    """Delete a batch of hits from before a time (ms) and return how many there were."""
    return db.execute(
        "DELETE FROM hits WHERE (limit_key, at, job) IN (SELECT limit_key, at, job FROM hits WHERE at < ? LIMIT ?)",
        (before, RETENTION_BATCH),
    ).rowcount


def read_expendable(path: Path, job_ids: Collection[str]) -> list[str]:
    """Return those of the jobs whose checkouts nobody needs, in the order in which to delete them.

    First the jobs that an earlier daemon left running, but for those whose run or publication may go on; then the ones
    that ended, oldest first. For a start without a running daemon on `path`: it reads on a full disk, too. Raises
    sqlite3.Error.
    """
    db = sqlite3.connect(path.as_uri() + "?mode=rw", uri=True, isolation_level=None)
    try:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")  # the index of the log is then in memory, not in a new file
        found = db.execute(
            "SELECT id FROM jobs j WHERE status IN ('COMPLETED', 'FAILED', 'CANCELLED') OR status = 'RUNNING'"
            " AND NOT EXISTS (SELECT 1 FROM starts s WHERE s.job = j.key AND s.attempt = j.attempt"
            " AND s.reference IS NOT NULL)"
            " AND NOT EXISTS (SELECT 1 FROM publications p WHERE p.job = j.key AND p.attempt = j.attempt AND p.active)"
            " ORDER BY status <> 'RUNNING', completed_at"
        ).fetchall()
    finally:
        db.close()
    return [job_id for (job_id,) in found if job_id in job_ids]


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
