"""Deliveries: storing each with its decision, body and job in one transaction, and reading them.

Where something prevents a new job, nothing is stored, and the caller gets what it is: it words the verdict and stores
the delivery without the job. If another id was kept for one of its accounts since it was decided, AccountTaken is
raised, and RailsReplaced if other rails were put in force. A delivery whose verdict is deciding is decided by the same
functions, once: AlreadyDecided is raised for the second time.
"""

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any

from msgspec import Struct, structs

from shared.deliveries import Delivery, DeliveryPage, Via
from shared.ids import short_id
from shared.models import Decision, RunnerJob, Thread, Verdict
from stitcherd.errors import Refusal
from stitcherd.policy import AccountSighting, DailyBudget, with_uses
from stitcherd.store import accounts, limits, rows
from stitcherd.store.bodies import add_bodies, read_body
from stitcherd.store.db import Db, Reader
from stitcherd.store.decisions import add_decisions, find_document, forget_decisions
from stitcherd.store.events import NewEvent, add_events, new_event
from stitcherd.store.in_force import refuse_others
from stitcherd.store.jobs import NewJob, add_jobs, open_on_threads
from stitcherd.store.limits import LimitsReached
from stitcherd.store.queries import (
    conditions,
    fetch_all,
    find_by_suffix,
    insert_rows,
    key_of_cursor,
    optional,
    where_clause,
)
from stitcherd.store.repetitions import DeliveryIdentity, RepeatedDelivery, find_first


class NewDelivery(Struct, frozen=True, kw_only=True):
    """A delivery to be stored; the fields are named as the columns of its table. `received_at` is in milliseconds.

    `seen_since` and `same_body_since` are those of its DeliveryIdentity. `job_id` is the job that it led to. Its
    verdict and reason are those of the decision, unless it has its own. `accounts` are the ids that it gives for
    accounts. With `decides`, it is stored already, and this is its decision; `received_at` is then the time of that.
    `rails_in_force` is the digest of those that it was decided under, empty without any.
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
    rails_in_force: str | None = None

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


_NOT_COLUMNS = {"body", "decision", "seen_since", "same_body_since", "accounts", "decides", "rails_in_force"}
COLUMNS = tuple(name for name in NewDelivery.__struct_fields__ if name not in _NOT_COLUMNS)
_COLUMN_VALUES = attrgetter(*COLUMNS)


class AlreadyDecided(Exception):
    """Nothing was stored: the delivery has a verdict by now."""


class StoredDelivery(Struct, frozen=True):
    """A delivery was stored; `job` is the one that it approved, denied, cancelled or retried."""

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


Outcome = StoredDelivery | RepeatedDelivery | JobAlreadyOpen | LimitsReached


def add_deliveries(db: Db, new: Sequence[tuple[NewDelivery, NewJob | None]]) -> list[Outcome]:
    """Store deliveries, each with its job if it has one, as if one after the other; return what came of each.

    A delivery is not stored if it repeats another, if its job is open on the thread, or if a limit of it is reached.
    """
    return [outcome for part in _independent(new) for outcome in _add_independent(db, part)]


def _independent(
    new: Sequence[tuple[NewDelivery, NewJob | None]],
) -> Iterator[Sequence[tuple[NewDelivery, NewJob | None]]]:
    """Split deliveries, in order, into parts in which none changes what is decided about another."""
    start = 0
    seen: set[tuple[object, ...]] = set()
    for at, (delivery, job) in enumerate(new):
        keys = _keys(delivery, job)
        if not seen.isdisjoint(keys) or (delivery.decides and at > start):
            yield new[start:at]
            start, seen = at, set()
        seen |= keys
        if delivery.decides:  # a repetition of it would be answered with what it was before
            yield new[start : at + 1]
            start, seen = at + 1, set()
    if start < len(new):
        yield new[start:]


def _keys(delivery: NewDelivery, job: NewJob | None) -> set[tuple[object, ...]]:
    """Return what a delivery has in common with every other that it could change the decision about."""
    source = delivery.source
    keys: set[tuple[object, ...]] = {("body", source, delivery.body_sha256)}
    if delivery.external_id is not None:
        keys.add(("id", source, delivery.external_id))
    if delivery.subject is not None:
        keys.add(("subject", source, delivery.subject))
    if job is not None:
        keys.update(("limit", limit.key) for limit in job.limits if not isinstance(limit, DailyBudget))
        if job.thread is not None:
            repository = (job.repository or "").lower()
            keys.add(("thread", job.workspace, repository, job.thread.kind, job.thread.number, job.type))
    return keys


def _add_independent(db: Db, new: Sequence[tuple[NewDelivery, NewJob | None]]) -> list[Outcome]:
    repeated = repeated_deliveries(db, [delivery for delivery, _ in new])
    open_jobs = open_on_threads(db, [job for _, job in new])
    outcomes: list[Outcome] = []
    stored: list[tuple[NewDelivery, NewJob | None]] = []
    for at, (delivery, job) in enumerate(new):
        uses = limits.count_uses(db, job.limits, delivery.received_at) if job else ()
        if at in repeated:
            outcomes.append(repeated[at])
        elif at in open_jobs:
            outcomes.append(JobAlreadyOpen(open_jobs[at]))
        elif limits.are_reached(uses):
            outcomes.append(LimitsReached(uses))
        else:
            outcomes.append(StoredDelivery())
            if job is not None:
                decision = with_uses(delivery.decision, uses)
                delivery = structs.replace(delivery, decision=decision, job_id=job.id)  # noqa: PLW2901
            stored.append((delivery, job))
    insert_deliveries(db, stored)
    return outcomes


async def delivery_page(db: Reader, wanted: DeliveryFilter, limit: int) -> DeliveryPage:
    """Return a page of deliveries, newest first."""
    where, values = conditions(
        ("verdict", wanted.verdicts), ("source", wanted.sources), ("workspace", optional(wanted.workspace))
    )
    if wanted.before is not None:
        where.append("key < ?")
        values.append(await key_of_cursor(db, "deliveries", wanted.before, wanted.workspace))
    found = await fetch_all(
        db, f"SELECT * FROM deliveries{where_clause(where)} ORDER BY key DESC LIMIT ?", [*values, limit + 1]
    )
    items = tuple(rows.delivery(row) for row in found[:limit])
    return DeliveryPage(items, items[-1].id if len(found) > limit else None)


async def get_delivery(db: Reader, name: str, workspace: str | None) -> Delivery:
    """Return a delivery, named by its id or the end of it, with its decision; raise Refusal for none or several."""
    row = await find_by_suffix(db, "deliveries", name, workspace)
    return structs.replace(rows.delivery(row), decision=rows.decision(await find_document(db, row["decision"])))


async def get_body(db: Reader, name: str, workspace: str | None) -> bytes:
    """Return the stored body of a delivery; raise Refusal if retention has removed it."""
    row = await find_by_suffix(db, "deliveries", name, workspace)
    found = await fetch_all(db, "SELECT zstd, body FROM delivery_bodies WHERE delivery = ?", [row["key"]])
    if not found:
        raise Refusal("not_found", f"the body of delivery {short_id(row['id'])} is past its retention")
    return read_body(found[0])


def repeated_deliveries(db: Db, new: Sequence[NewDelivery]) -> dict[int, RepeatedDelivery]:
    """Return what deliveries repeat, by index; a replay repeats nothing, nor does one that is only decided now."""
    asked = [at for at, each in enumerate(new) if each.replay_of is None and not each.decides]
    found = find_first(db, [new[at].identity() for at in asked])
    return {asked[at]: repeated for at, repeated in found.items()}


def insert_deliveries(db: Db, new: Sequence[tuple[NewDelivery, NewJob | None]]) -> None:
    """Store deliveries that repeat nothing, with their decisions, bodies, jobs and events.

    Raises AccountTaken, RailsReplaced and AlreadyDecided.
    """
    if not new:
        return
    refuse_others(db, (delivery.rails_in_force for delivery, _ in new))
    decisions = add_decisions(db, [delivery.decision for delivery, _ in new])
    columns = [
        {**delivery.columns(), "decision": decision} for (delivery, _), decision in zip(new, decisions, strict=True)
    ]
    received = [(each, delivery) for each, (delivery, _) in zip(columns, new, strict=True) if not delivery.decides]
    for each, (delivery, _) in zip(columns, new, strict=True):
        if delivery.decides:
            _decide(db, each)
    accounts.keep_ids(db, [(seen, delivery.received_at) for _, delivery in received for seen in delivery.accounts])
    if received:
        keys = db.new_keys("deliveries", len(received))
        stored = [(key, *each.values()) for key, (each, _) in zip(keys, received, strict=True)]
        insert_rows(db, "INSERT INTO deliveries", ("key", *columns[0]), stored)
        add_bodies(db, ((key, delivery.body) for key, (_, delivery) in zip(keys, received, strict=True)))
    told = [[_event(delivery, each)] for each, (delivery, _) in zip(columns, new, strict=True)]
    with_job = [at for at, (_, job) in enumerate(new) if job is not None]
    jobs = [(job, decisions[at], delivery.received_at) for at, (delivery, job) in enumerate(new) if job is not None]
    for at, events in zip(with_job, add_jobs(db, jobs), strict=True):
        told[at] += events
    add_events(db, *(event for events in told for event in events))


def _decide(db: Db, columns: dict[str, Any]) -> None:
    """Store the decision on a delivery whose verdict is deciding; raises AlreadyDecided."""
    earlier = db.execute("SELECT decision FROM deliveries WHERE id = ?", (columns["id"],)).fetchone()
    decided = db.execute(
        "UPDATE deliveries SET verdict = :verdict, reason = :reason, job_id = :job_id, decision = :decision"
        " WHERE id = :id AND verdict = 'deciding'",
        {name: columns[name] for name in ("id", "verdict", "reason", "job_id", "decision")},
    )
    if decided.rowcount == 0:
        raise AlreadyDecided(columns["id"])
    forget_decisions(db, [earlier["decision"]])


def _event(new: NewDelivery, columns: dict[str, Any]) -> NewEvent:
    payload = {"deliveryId": new.id, "source": new.source, "verdict": columns["verdict"], "reason": columns["reason"]}
    return new_event(
        "delivery.decided" if new.decides else "delivery.received",
        actor=new.actor,
        now=new.received_at,
        delivery=new.id,
        workspace=new.workspace,
        payload={**payload, "jobId": new.job_id},
    )
