"""Deletes what is past its retention, in batches; never anything of an unfinished job.

What is to be deleted of jobs and deliveries is found by readers, so that the writer only looks at rows that it deletes.
"""

from collections.abc import Sequence

from msgspec import Struct

from stitcherd.store import rows
from stitcherd.store.audit import note_removed
from stitcherd.store.db import Db, Reader
from stitcherd.store.decisions import forget_decisions
from stitcherd.store.queries import KEYS, fetch_all

RETENTION_BATCH = 500  # rows per transaction, so that other writes do not wait long
JOB_BATCH = 100  # jobs per transaction: each has some dozens of rows

_ENDED = "('COMPLETED', 'FAILED', 'CANCELLED')"
_TABLES_OF_JOB = ("job_texts", "approvals", "starts", "publications", "steps", "spending", "pieces")
# By id, up to the first event that is too young, so that the rest need not be read. One from the future does not count:
# the clock was wrong.
_PRUNE_EVENTS = f"""
DELETE FROM events WHERE id IN (
  SELECT e.id FROM events e LEFT JOIN jobs j ON j.key = e.job
  WHERE e.id < coalesce((SELECT id FROM events WHERE at >= :before AND at <= :now ORDER BY id LIMIT 1), {2**62})
    AND e.at < :before AND (j.status IS NULL OR j.status IN {_ENDED}) ORDER BY e.id LIMIT :limit
) RETURNING id, hash
"""
_PRUNE_BODIES = f"""
DELETE FROM delivery_bodies WHERE delivery IN (
  SELECT b.delivery FROM delivery_bodies b JOIN deliveries d ON d.key = b.delivery LEFT JOIN jobs j ON j.id = d.job_id
  WHERE b.delivery <= (SELECT key FROM deliveries WHERE received_at < :before ORDER BY received_at DESC LIMIT 1)
    AND d.received_at < :before AND d.verdict <> 'deciding' AND (j.status IS NULL OR j.status IN {_ENDED})
  ORDER BY b.delivery LIMIT :limit
)
"""
_PRUNE_ANSWERS = f"""
DELETE FROM answers WHERE key IN (
  SELECT a.key FROM answers a LEFT JOIN jobs j ON j.id = a.job_id
  WHERE a.key < coalesce((SELECT key FROM answers WHERE created_at >= :before ORDER BY key LIMIT 1), {2**62})
    AND a.state IN ('delivered', 'failed') AND a.pending_since < :before
    AND (j.status IS NULL OR j.status IN {_ENDED}) ORDER BY a.key LIMIT :limit
)
"""
_PRUNE_PIECES = f"""
DELETE FROM pieces WHERE (job, attempt, output, start) IN (
  SELECT p.job, p.attempt, p.output, p.start FROM jobs j INDEXED BY jobs_ended CROSS JOIN pieces p ON p.job = j.key
  WHERE EXISTS (SELECT 1 FROM pieces) AND j.completed_at IS NOT NULL AND j.completed_at < :before
    AND j.status IN {_ENDED} LIMIT :limit
)
"""
# A job goes after its last event and answer. What was dispatched with an idempotency key stays as long as that counts.
_IS_EXPIRED_JOB = (
    f"j.status IN {_ENDED} AND NOT EXISTS (SELECT 1 FROM events e WHERE e.job = j.key)"
    " AND NOT EXISTS (SELECT 1 FROM answers a WHERE a.job_id = j.id)"
)
_EXPIRED_JOBS = f"""
SELECT j.key, j.completed_at AS at FROM jobs j INDEXED BY jobs_ended
WHERE j.completed_at IS NOT NULL AND (j.completed_at, j.key) > (:at, :key) AND j.completed_at < :before
  AND (j.idempotency_key IS NULL OR j.created_at < :seen_since) AND {_IS_EXPIRED_JOB}
ORDER BY j.completed_at, j.key LIMIT :limit
"""
# A delivery goes after its job.
_IS_EXPIRED_DELIVERY = (
    "d.verdict <> 'deciding' AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.id = d.job_id)"
    " AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.delivery_id = d.id)"
)
_EXPIRED_DELIVERIES = f"""
SELECT d.key, d.received_at AS at FROM deliveries d INDEXED BY deliveries_received
WHERE (d.received_at, d.key) > (:at, :key) AND d.received_at < :before AND {_IS_EXPIRED_DELIVERY}
ORDER BY d.received_at, d.key LIMIT :limit
"""


class RowPlace(Struct, frozen=True):
    """The place of a row in the order in which rows expire: its time (ms) and its key."""

    at: int = -1
    key: int = 0


def prune_events(db: Db, before: int, now: int) -> int:
    """Delete a batch of the oldest events from before a time (ms) and return how many there were.

    The newest deleted id is stored: a client that asks for events after an older cursor must be told.
    """
    gone = db.execute(_PRUNE_EVENTS, {"before": before, "now": now, "limit": RETENTION_BATCH}).fetchall()
    if gone:
        note_removed(db, gone, before, now)
        db.execute(
            "INSERT INTO meta (name, value) VALUES ('pruned_through', ?) ON CONFLICT (name)"
            " DO UPDATE SET value = CASE WHEN CAST(meta.value AS BIGINT) < CAST(excluded.value AS BIGINT)"
            " THEN excluded.value ELSE meta.value END",
            (str(max(row["id"] for row in gone)),),
        )
    return len(gone)


def prune_bodies(db: Db, before: int) -> int:
    """Delete a batch of bodies of deliveries received before a time (ms) and return how many there were."""
    return db.execute(_PRUNE_BODIES, {"before": before, "limit": RETENTION_BATCH}).rowcount


def prune_answers(db: Db, before: int) -> int:
    """Delete a batch of answers whose last try or wish was before a time (ms), and return how many there were."""
    return db.execute(_PRUNE_ANSWERS, {"before": before, "limit": RETENTION_BATCH}).rowcount


def prune_pieces(db: Db, before: int) -> int:
    """Delete a batch of pieces of outputs of jobs that ended before a time (ms), and return how many there were."""
    return db.execute(_PRUNE_PIECES, {"before": before, "limit": RETENTION_BATCH}).rowcount


def prune_hits(db: Db, before: int) -> int:
    """Delete a batch of hits from before a time (ms) and return how many there were."""
    return db.execute(
        "DELETE FROM hits WHERE (limit_key, at, job) IN (SELECT limit_key, at, job FROM hits WHERE at < ? LIMIT ?)",
        (before, RETENTION_BATCH),
    ).rowcount


async def expired_jobs(db: Reader, after: RowPlace, before: int, seen_since: int) -> list[RowPlace]:
    """Return the next jobs that ended before a time (ms), and of which nothing younger is kept.

    Those with an idempotency key only if they were created before `seen_since` (ms).
    """
    values = {"at": after.at, "key": after.key, "before": before, "seen_since": seen_since, "limit": JOB_BATCH}
    return [RowPlace(row["at"], row["key"]) for row in await fetch_all(db, _EXPIRED_JOBS, values)]


def delete_jobs(db: Db, found: Sequence[RowPlace]) -> int:
    """Delete those of the jobs that are still over, with all that belongs to them; return how many there were."""
    gone = db.execute(
        f"SELECT j.key, j.decision FROM jobs j WHERE j.key IN ({KEYS}) AND {_IS_EXPIRED_JOB}",
        (rows.encode([place.key for place in found]),),
    ).fetchall()
    keys = rows.encode([row["key"] for row in gone])
    for table in _TABLES_OF_JOB:
        db.execute(f"DELETE FROM {table} WHERE job IN ({KEYS})", (keys,))
    db.execute(f"DELETE FROM jobs WHERE key IN ({KEYS})", (keys,))
    forget_decisions(db, [row["decision"] for row in gone])
    return len(gone)


async def expired_deliveries(db: Reader, after: RowPlace, before: int) -> list[RowPlace]:
    """Return the next deliveries that were received before a time (ms), and whose job is not kept."""
    values = {"at": after.at, "key": after.key, "before": before, "limit": RETENTION_BATCH}
    return [RowPlace(row["at"], row["key"]) for row in await fetch_all(db, _EXPIRED_DELIVERIES, values)]


def delete_deliveries(db: Db, found: Sequence[RowPlace]) -> int:
    """Delete those of the deliveries whose job is still not there, with their bodies; return how many there were."""
    gone = db.execute(
        f"SELECT d.key, d.decision FROM deliveries d WHERE d.key IN ({KEYS}) AND {_IS_EXPIRED_DELIVERY}",
        (rows.encode([place.key for place in found]),),
    ).fetchall()
    keys = rows.encode([row["key"] for row in gone])
    db.execute(f"DELETE FROM delivery_bodies WHERE delivery IN ({KEYS})", (keys,))
    db.execute(f"DELETE FROM deliveries WHERE key IN ({KEYS})", (keys,))
    forget_decisions(db, [row["decision"] for row in gone])
    return len(gone)


async def past_retention(db: Reader, job_ids: list[str], before: int) -> list[str]:
    """Return those of the jobs that ended before a time (ms), or that do not exist."""
    is_kept = "SELECT 1 FROM jobs WHERE id = ? AND (completed_at IS NULL OR completed_at >= ?)"
    kept = {job_id for job_id in job_ids if await fetch_all(db, is_kept, [job_id, before])}
    return [job_id for job_id in job_ids if job_id not in kept]
