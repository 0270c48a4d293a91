"""Which earlier delivery a delivery repeats."""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import astuple

from shared.deliveries import Delivery, Via
from shared.models import RunnerJob
from stitcherd.store import rows
from stitcherd.store.db import Db, Reader, Row
from stitcherd.store.queries import chunks, fetch_all, row_marks

# By the same id of the sender, else as the same event, else by the same bytes; NULL for any of them finds nothing. A
# thread has its number only within its repository. Between two calls of one webhook the subject does not count, nor
# where it is not known whether that is so: one that tells something else is decided by that.
_FIRST_KEYS = """
WITH asked (at, {columns}) AS (VALUES {marks})
SELECT at, key FROM (SELECT at, coalesce(
  (SELECT min(d.key) FROM deliveries d
   WHERE d.source = asked.source AND d.external_id = asked.external_id AND d.replay_of IS NULL
     AND d.received_at >= asked.seen_since),
  (SELECT min(d.key) FROM deliveries d
   WHERE d.source = asked.source AND d.subject = asked.subject AND d.replay_of IS NULL
     AND d.received_at >= asked.seen_since AND (d.repository COLLATE NOCASE = asked.repository COLLATE NOCASE
       OR (d.repository IS NULL AND asked.repository IS NULL))
     AND (d.via <> 'webhook' OR asked.via <> 'webhook' OR d.hook <> asked.hook)),
  (SELECT min(d.key) FROM deliveries d
   WHERE d.source = asked.source AND d.body_sha256 = asked.body_sha256 AND d.replay_of IS NULL
     AND d.received_at >= CAST(asked.same_body_since AS BIGINT))) AS key FROM asked) found WHERE key IS NOT NULL
"""
_DELIVERY = "SELECT * FROM deliveries WHERE key = ?"
_JOB = "SELECT * FROM jobs WHERE id = ?"


class DeliveryIdentity(Struct, frozen=True):
    """What tells which earlier delivery a delivery repeats.

    One with the same external id since `seen_since`, with the same subject since then by another way (of two webhooks:
    of another `hook`), or with the same bytes since `same_body_since` (both in ms); None where bytes do not count.
    """

    source: str
    external_id: str | None
    body_sha256: str
    seen_since: int
    same_body_since: int | None
    subject: str | None = None
    repository: str | None = None
    via: Via = Via.WEBHOOK
    hook: str | None = None


class RepeatedDelivery(Struct, frozen=True):
    """Nothing was stored: the delivery repeats an earlier one, which led to `job`."""

    first: Delivery
    job: RunnerJob | None


def find_first(db: Db, identities: Sequence[DeliveryIdentity]) -> dict[int, RepeatedDelivery]:
    """Return the first delivery that one with such an identity repeats, as the writer sees it, by index."""
    found: dict[int, RepeatedDelivery] = {}
    for part in chunks(list(enumerate(identities))):
        for at, key in db.execute(*_first_keys(part)).fetchall():
            row = db.execute(_DELIVERY, [key]).fetchone()
            job = db.execute(_JOB, [row["job_id"]]).fetchone() if row["job_id"] else None
            found[at] = _repeated(row, job)
    return found


async def find_repeated(db: Reader, identity: DeliveryIdentity) -> RepeatedDelivery | None:
    """Return the first delivery that one with this identity repeats."""
    keys = await fetch_all(db, *_first_keys([(0, identity)]))
    if not keys:
        return None
    [row] = await fetch_all(db, _DELIVERY, [keys[0]["key"]])
    jobs = await fetch_all(db, _JOB, [row["job_id"]]) if row["job_id"] else []
    return _repeated(row, jobs[0] if jobs else None)


def _first_keys(asked: Sequence[tuple[int, DeliveryIdentity]]) -> tuple[str, list[object]]:
    """Return the statement that finds the key of the first delivery for each identity that has one, by its number."""
    columns = DeliveryIdentity.__struct_fields__
    statement = _FIRST_KEYS.format(columns=", ".join(columns), marks=row_marks(len(asked), len(columns) + 1))
    return statement, [value for at, identity in asked for value in (at, *astuple(identity))]


def _repeated(row: Row, job: Row | None) -> RepeatedDelivery:
    return RepeatedDelivery(rows.delivery(row), rows.job(job) if job else None)
