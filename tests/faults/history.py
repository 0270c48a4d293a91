"""What a client was told about each of its deliveries, compared with what the store and the agents have in the end."""

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from shared.models import Status
from stitcherd.store import lifecycle

STATUS_OF = {
    "job.queued": Status.QUEUED,
    "job.started": Status.RUNNING,
    "job.completed": Status.COMPLETED,
    "job.failed": Status.FAILED,
    "job.cancelled": Status.CANCELLED,
}
DECLARED = ("interrupted", "storage_unavailable")  # how a job may fail whose agent had been started before the fault
FINAL = frozenset({"COMPLETED", "FAILED", "CANCELLED"})


class Told(Enum):
    """What the client knows about a delivery."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"  # the connection was lost before the response


class Delivery(Struct):
    """One delivery by its own id; `refused_only` while every try was refused, so that it must not become a job."""

    id: str
    told: Told = Told.UNKNOWN
    refused_only: bool = True
    job_id: str | None = None
    cancelled: bool = False  # and the daemon has accepted that


class Findings(Struct):
    """What was found in the end: sentences, one for each loss, repeated start and other fault."""

    acknowledged: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


class _Store(Struct):
    jobs: dict[str, Any]  # rows by name
    jobs_of: dict[str, set[str]]  # by the id that the sender gave the delivery
    histories: dict[int, list[str]]


def compare(db: Any, witness: Path, deliveries: Sequence[Delivery]) -> Findings:
    """Compare a client's history with the database of a daemon that has stopped, and with what its agents wrote.

    `db` is a connection of SQLite or psycopg, with rows by name. Each agent appends its job, attempt and try to the
    file `witness` as soon as it runs.
    """
    found = Findings(sum(each.told is Told.ACCEPTED for each in deliveries))
    if isinstance(db, sqlite3.Connection):
        found.broken += _broken_file(db)
    found.broken += _miscounted(db)
    store = _read(db)
    starts = Counter(witness.read_text().splitlines() if witness.exists() else ())
    found.doubled += [f"started {times} times: {line}" for line, times in starts.items() if times > 1]
    ran: set[str | None] = {line.split()[0] for line in starts}
    for each in deliveries:
        found.lost += _lost(each, store, ran)
        found.doubled += _doubled(each, store)
    for job in store.jobs.values():
        found.broken += _impossible(store.histories.get(job["key"], []), job)
    return found


def _read(db: Any) -> _Store:
    jobs_of: dict[str, set[str]] = {}
    for row in db.execute("SELECT external_id, job_id FROM deliveries WHERE job_id IS NOT NULL"):
        jobs_of.setdefault(row["external_id"], set()).add(row["job_id"])
    histories: dict[int, list[str]] = {}
    for row in db.execute("SELECT job, type FROM events WHERE job IS NOT NULL ORDER BY id"):
        histories.setdefault(row["job"], []).append(row["type"])
    return _Store({row["id"]: row for row in db.execute("SELECT * FROM jobs")}, jobs_of, histories)


def _broken_file(db: sqlite3.Connection) -> Iterator[str]:
    integrity = db.execute("PRAGMA integrity_check").fetchone()[0]
    if integrity != "ok":
        yield f"integrity_check: {integrity}"
    yield from (f"foreign_key_check: {tuple(row)}" for row in db.execute("PRAGMA foreign_key_check"))


def _miscounted(db: Any) -> Iterator[str]:
    counted = {row["status"]: row["n"] for row in db.execute("SELECT status, sum(n) AS n FROM job_counts GROUP BY 1")}
    for row in db.execute("SELECT status, count(*) AS n FROM jobs GROUP BY 1"):
        if counted.get(row["status"]) != row["n"]:
            yield f"{row['n']} jobs are {row['status']}, and {counted.get(row['status'])} are counted"


def _lost(delivery: Delivery, store: _Store, ran: Collection[str | None]) -> Iterator[str]:
    if delivery.told is not Told.ACCEPTED:
        return
    job = store.jobs.get(delivery.job_id or "")
    if job is None or delivery.job_id not in store.jobs_of.get(delivery.id, ()):
        yield f"delivery {delivery.id}: accepted as job {delivery.job_id}, which the store does not have"
    elif job["status"] not in FINAL:
        yield f"job {delivery.job_id}: never ended, it is {job['status']}"
    elif delivery.cancelled and job["status"] != "CANCELLED":
        yield f"job {delivery.job_id}: its cancel was accepted, and it is {job['status']}"
    elif job["status"] == "COMPLETED" and delivery.job_id not in ran:
        yield f"job {delivery.job_id}: completed, and its agent never ran"
    elif job["status"] == "FAILED" and not any(f'"code":"{code}"' in job["error"] for code in DECLARED):
        yield f"job {delivery.job_id}: failed for another reason than the fault: {job['error']}"
    elif job["status"] == "FAILED" and '"interrupted"' not in job["error"] and delivery.job_id not in ran:
        yield f"job {delivery.job_id}: failed, and its agent never ran: {job['error']}"


def _doubled(delivery: Delivery, store: _Store) -> Iterator[str]:
    jobs = store.jobs_of.get(delivery.id, set())
    if len(jobs) > 1:
        yield f"delivery {delivery.id}: became {len(jobs)} jobs"
    if jobs and delivery.told is Told.REFUSED and delivery.refused_only:
        yield f"delivery {delivery.id}: refused, and became job {jobs}"


def _impossible(events: Sequence[str], job: Any) -> Iterator[str]:
    before: Status | None = None
    for after in (STATUS_OF[type_] for type_ in events if type_ in STATUS_OF):
        held = before is after is Status.QUEUED  # for another reason than before
        if after not in lifecycle.NEXT[before] and not held:
            yield f"job {job['id']}: {before} was followed by {after}"
        before = after
    if before is None or before.value != job["status"]:
        yield f"job {job['id']}: its events end with {before}, and it is {job['status']}"
