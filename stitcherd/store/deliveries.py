"""Deliveries: storing each with its decision, body and job in one transaction, and reading them.

Where something prevents a new job, nothing is stored, and the caller gets what it is: it words the verdict and stores
the delivery without the job. If another id was kept for one of its accounts since it was decided, AccountTaken is
raised. A delivery whose verdict is deciding is decided by the same functions, once: AlreadyDecided is raised for the
second time.
"""

import sqlite3
from operator import attrgetter
from typing import Any

import aiosqlite
from msgspec import Struct, structs

from shared.deliveries import Delivery, DeliveryPage, Via
from shared.ids import short_id
from shared.models import Decision, RunnerJob, Thread, Verdict
from stitcherd.errors import Refusal
from stitcherd.policy import AccountSighting, with_uses
from stitcherd.store import accounts, limits, rows
from stitcherd.store.decisions import add_decision, find_document
from stitcherd.store.events import add_event
from stitcherd.store.jobs import NewJob, add_job, open_on_thread
from stitcherd.store.limits import LimitsReached
from stitcherd.store.queries import conditions, fetch_all, find_by_suffix, optional, where_clause
from stitcherd.store.repetitions import DeliveryIdentity, RepeatedDelivery, find_first


class NewDelivery(Struct, frozen=True, kw_only=True):
    """A delivery to be stored; the fields are named as the columns of its table. `received_at` is in milliseconds.

    `seen_since` and `same_body_since` are those of its DeliveryIdentity. `job_id` is the job that it led to. Its
    verdict and reason are those of the decision, unless it has its own. `accounts` are the ids that it gives for
    accounts. With `decides`, it is stored already, and this is its decision; `received_at` is then the time of that.
    """

    id: str
    source: str
    kind: str
    workspace: str
    external_id: str | None
    received_at: int
    event: str
    action: str | None
    trigger: str | None
    sender: str | None
    repository: str | None
    thread: Thread | None
    body: bytes
    body_sha256: str
    secret: int
    headers: dict[str, str]
    actor: str
    decision: Decision
    seen_since: int = 0
    same_body_since: int | None = None
    replay_of: str | None = None
    subject: str | None = None
    via: Via = Via.WEBHOOK
    hook: str | None = None
    verdict: Verdict | None = None
    reason: str | None = None
    job_id: str | None = None
    accounts: tuple[AccountSighting, ...] = ()
    decides: bool = False

    def columns(self) -> dict[str, Any]:
        """Return the columns of its row, but for the key of its decision."""
        return dict(zip(COLUMNS, _COLUMN_VALUES(self), strict=True)) | {
            "tail": rows.reversed_suffix(self.id),
            "thread": rows.encode(self.thread) if self.thread else None,
            "headers": rows.encode(self.headers),
            "body_bytes": len(self.body),
            "verdict": self.verdict or self.decision.verdict,
            "reason": self.decision.reason if self.reason is None else self.reason,
        }

    def identity(self) -> DeliveryIdentity:
        """Return what tells which earlier delivery it repeats."""
        return DeliveryIdentity(
            source=self.source,
            external_id=self.external_id,
            body_sha256=self.body_sha256,
            seen_since=self.seen_since,
            same_body_since=self.same_body_since,
            subject=self.subject,
            repository=self.repository,
            via=self.via,
            hook=self.hook,
        )


_NOT_COLUMNS = {"body", "decision", "seen_since", "same_body_since", "accounts", "decides"}
COLUMNS = tuple(name for name in NewDelivery.__struct_fields__ if name not in _NOT_COLUMNS)
_COLUMN_VALUES = attrgetter(*COLUMNS)


class AlreadyDecided(Exception):
    """Nothing was stored: the delivery has a verdict by now."""


class StoredDelivery(Struct, frozen=True):
    """A delivery was stored; `job` is the one that it created, approved or denied."""

    job: RunnerJob | None = None


class JobAlreadyOpen(Struct, frozen=True):
    """Nothing was stored: a job of the same type is open on the thread."""

    job: RunnerJob


class DeliveryFilter(Struct, frozen=True, kw_only=True):
    """The deliveries that a list shows; an empty field does not narrow it. `before` is the id of a delivery."""

    verdicts: tuple[Verdict, ...] = ()
    sources: tuple[str, ...] = ()
    workspace: str | None = None
    before: str | None = None


def add_delivery(db: sqlite3.Connection, new: NewDelivery) -> StoredDelivery | RepeatedDelivery:
    """Store a delivery that leads to no new job."""
    repeated = repeated_delivery(db, new)
    if repeated is None:
        insert_delivery(db, new)
    return repeated or StoredDelivery()


def add_delivery_with_job(
    db: sqlite3.Connection, new: NewDelivery, job: NewJob
) -> StoredDelivery | RepeatedDelivery | JobAlreadyOpen | LimitsReached:
    """Store a delivery and its job, unless the job is already open on the thread or one of its limits is reached."""
    repeated = repeated_delivery(db, new)
    if repeated is not None:
        return repeated
    open_job = open_on_thread(db, job)
    if open_job is not None:
        return JobAlreadyOpen(open_job)
    uses = limits.count_uses(db, job.limits, new.received_at)
    if limits.are_reached(uses):
        return LimitsReached(uses)
    decision = insert_delivery(db, structs.replace(new, decision=with_uses(new.decision, uses), job_id=job.id))
    return StoredDelivery(add_job(db, job, decision, new.received_at))


async def delivery_page(db: aiosqlite.Connection, wanted: DeliveryFilter, limit: int) -> DeliveryPage:
    """Return a page of deliveries, newest first."""
    where, values = conditions(
        ("verdict", wanted.verdicts), ("source", wanted.sources), ("workspace", optional(wanted.workspace))
    )
    if wanted.before is not None:
        where.append("key < ?")
        values.append((await find_by_suffix(db, "deliveries", wanted.before, wanted.workspace))["key"])
    found = await fetch_all(
        db, f"SELECT * FROM deliveries{where_clause(where)} ORDER BY key DESC LIMIT ?", [*values, limit + 1]
    )
    items = tuple(rows.delivery(row) for row in found[:limit])
    return DeliveryPage(items, items[-1].id if len(found) > limit else None)


async def get_delivery(db: aiosqlite.Connection, name: str, workspace: str | None) -> Delivery:
    """Return a delivery, named by its id or the end of it, with its decision; raise Refusal for none or several."""
    row = await find_by_suffix(db, "deliveries", name, workspace)
    return structs.replace(rows.delivery(row), decision=rows.decision(await find_document(db, row["decision"])))


async def get_body(db: aiosqlite.Connection, name: str, workspace: str | None) -> bytes:
    """Return the stored body of a delivery; raise Refusal if retention has removed it."""
    row = await find_by_suffix(db, "deliveries", name, workspace)
    found = await fetch_all(db, "SELECT body FROM delivery_bodies WHERE delivery = ?", [row["key"]])
    if not found:
        raise Refusal("not_found", f"the body of delivery {short_id(row['id'])} is past its retention")
    return bytes(found[0]["body"])


async def decided_deliveries(
    db: aiosqlite.Connection, workspace: str | None, since: int, before: int | None, limit: int
) -> list[tuple[int, Delivery, bytes | None, Decision | None]]:
    """Return deliveries received at `since` (ms) or later, newest first: key, delivery, body if kept, decision.

    `before` is a key that all are smaller than.
    """
    where, values = conditions(("d.workspace", optional(workspace)))
    if before is not None:
        where.append("d.key < ?")
        values.append(before)
    if since:  # the index by time gives the first key, and the scan goes by keys
        where.append("d.key >= (SELECT key FROM deliveries WHERE received_at >= ? ORDER BY received_at LIMIT 1)")
        values.append(since)
    found = await fetch_all(
        db,
        "SELECT d.*, b.body AS body, c.document AS document FROM deliveries d"
        " LEFT JOIN delivery_bodies b ON b.delivery = d.key LEFT JOIN decisions c ON c.key = d.decision"
        f"{where_clause(where)} ORDER BY d.key DESC LIMIT ?",
        [*values, limit],
    )
    return [(row["key"], rows.delivery(row), row["body"], rows.decision(row["document"])) for row in found]


def repeated_delivery(db: sqlite3.Connection, new: NewDelivery) -> RepeatedDelivery | None:
    """Return what a delivery repeats; a replay repeats nothing, nor does one that is only decided now."""
    return None if new.replay_of is not None or new.decides else find_first(db, new.identity())


def insert_delivery(db: sqlite3.Connection, new: NewDelivery) -> int:
    """Store a delivery with its decision, body and event; return the key of the decision.

    Raises AccountTaken and AlreadyDecided.
    """
    if new.decides:
        return _decide(db, new)
    accounts.keep_ids(db, new.accounts, new.received_at)
    decision = add_decision(db, new.decision)
    columns = {**new.columns(), "decision": decision}
    key = db.execute(
        f"INSERT INTO deliveries ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
        list(columns.values()),
    ).lastrowid
    db.execute("INSERT INTO delivery_bodies (delivery, body) VALUES (?, ?)", (key, new.body))
    _add_event(db, "delivery.received", new, columns)
    return decision


def _decide(db: sqlite3.Connection, new: NewDelivery) -> int:
    """Store the decision on a delivery whose verdict is deciding; return its key. Raises AlreadyDecided."""
    decision = add_decision(db, new.decision)
    columns = new.columns()
    decided = db.execute(
        "UPDATE deliveries SET verdict = :verdict, reason = :reason, job_id = :job_id, decision = :decision"
        " WHERE id = :id AND verdict = 'deciding'",
        {name: columns[name] for name in ("id", "verdict", "reason", "job_id")} | {"decision": decision},
    )
    if decided.rowcount == 0:
        raise AlreadyDecided(new.id)
    _add_event(db, "delivery.decided", new, columns)
    return decision


def _add_event(db: sqlite3.Connection, type_: str, new: NewDelivery, columns: dict[str, Any]) -> None:
    payload = {"deliveryId": new.id, "source": new.source, "verdict": columns["verdict"], "reason": columns["reason"]}
    add_event(
        db,
        type_,
        actor=new.actor,
        now=new.received_at,
        delivery=new.id,
        workspace=new.workspace,
        payload={**payload, "jobId": new.job_id},
    )
