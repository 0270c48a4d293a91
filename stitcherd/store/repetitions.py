"""Which earlier delivery a delivery repeats."""

import sqlite3

import aiosqlite
from msgspec import Struct
from msgspec.structs import asdict

from shared.deliveries import Delivery, Via
from shared.models import RunnerJob
from stitcherd.store import rows
from stitcherd.store.queries import fetch_all

# By the same id of the sender, else as the same event, else by the same bytes; NULL for any of them finds nothing. A
# thread has its number only within its repository. Between two calls of one webhook the subject does not count, nor
# where it is not known whether that is so: one that tells something else is decided by that.
_FIRST_DELIVERY = """
SELECT * FROM deliveries WHERE key = coalesce(
  (SELECT min(key) FROM deliveries
   WHERE source = :source AND external_id = :external_id AND replay_of IS NULL AND received_at >= :seen_since),
  (SELECT min(key) FROM deliveries
   WHERE source = :source AND subject = :subject AND replay_of IS NULL AND received_at >= :seen_since
     AND repository IS :repository COLLATE NOCASE AND (via <> 'webhook' OR :via <> 'webhook' OR hook <> :hook)),
  (SELECT min(key) FROM deliveries
   WHERE source = :source AND body_sha256 = :body_sha256 AND replay_of IS NULL AND received_at >= :same_body_since))
"""
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


def find_first(db: sqlite3.Connection, identity: DeliveryIdentity) -> RepeatedDelivery | None:
    """Return the first delivery that one with this identity repeats, as the writer sees it."""
    row = db.execute(_FIRST_DELIVERY, asdict(identity)).fetchone()
    if row is None:
        return None
    found = db.execute(_JOB, [row["job_id"]]).fetchone() if row["job_id"] else None
    return _repeated(row, found)


async def find_repeated(db: aiosqlite.Connection, identity: DeliveryIdentity) -> RepeatedDelivery | None:
    """Return the first delivery that one with this identity repeats."""
    found = await fetch_all(db, _FIRST_DELIVERY, asdict(identity))
    if not found:
        return None
    jobs = await fetch_all(db, _JOB, [found[0]["job_id"]]) if found[0]["job_id"] else []
    return _repeated(found[0], jobs[0] if jobs else None)


def _repeated(row: sqlite3.Row, job: sqlite3.Row | None) -> RepeatedDelivery:
    return RepeatedDelivery(rows.delivery(row), rows.job(job) if job else None)
