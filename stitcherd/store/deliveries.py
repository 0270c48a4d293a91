"""What comes in: deliveries, their decisions and bodies, and new jobs, each whole in one transaction."""

import sqlite3
from collections.abc import Callable

import aiosqlite
from msgspec import Struct, structs

from shared.api import DeliveryPage
from shared.ids import short_id
from shared.models import Decision, Delivery, RunnerJob, Thread, Verdict
from stitcherd.errors import Refusal
from stitcherd.policy import ApprovalRequest, ApprovalResult
from stitcherd.store import approvals, limits, rows, transitions
from stitcherd.store.decisions import add_decision, find_document
from stitcherd.store.events import add_event
from stitcherd.store.jobs import NewJob, add_job, already_open, find_open_on_thread
from stitcherd.store.queries import conditions, fetch_all, find_by_suffix, optional, where_clause
from stitcherd.store.transitions import find_job_row

# merged from stitcherd.store.answering: A comment that approves or denies a waiting job: the delivery and the
# move that it makes, in one transaction.


class NewDelivery(Struct, frozen=True, kw_only=True):
    """A delivery as intake hands it in; `received_at` in milliseconds.

    The same bytes are a duplicate if they came after `same_body_since`; None where bytes do not count.
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
    seen_since: int
    same_body_since: int | None
    replay_of: str | None = None


class RecordedDelivery(Struct, frozen=True):
    """What became of a delivery: its id (the first one's, for a repetition), verdict, reason and job."""

    delivery_id: str
    verdict: Verdict
    reason: str
    job: RunnerJob | None


# Whoever sent the same id, else whoever sent the same bytes; with NULL for either, nobody.
FIRST_DELIVERY = """
SELECT * FROM deliveries WHERE key = coalesce(
  (SELECT min(key) FROM deliveries
   WHERE source = :source AND external_id = :external_id AND replay_of IS NULL AND received_at >= :seen_since),
  (SELECT min(key) FROM deliveries
   WHERE source = :source AND body_sha256 = :body AND replay_of IS NULL AND received_at >= :same_body_since))
"""


def add_delivery(db: sqlite3.Connection, new: NewDelivery, job: NewJob | None) -> RecordedDelivery:
    """Store a delivery, its decision and, where the rails allowed one, its job; or find that it came before."""
    if new.replay_of is None:
        repeated = find_repeated(db, new.source, new.external_id, new.body_sha256, new.seen_since, new.same_body_since)
        if repeated is not None:
            return repeated
    ruled, verdict, reason = new.decision, new.decision.verdict, new.decision.reason
    open_job = find_open_on_thread(db, job) if job is not None else None
    if open_job is not None:
        verdict = Verdict.DUPLICATE
        reason = already_open(open_job)
        job = None
    elif job is not None:
        ruled = limits.apply_limits(ruled, limits.read_uses(db, job.limits, new.received_at))
        verdict, reason = ruled.verdict, ruled.reason
        job = None if verdict is Verdict.THROTTLED else job
    about = open_job.id if open_job is not None else job.id if job is not None else None
    decision = record(db, new, ruled, verdict, reason, about)
    created = add_job(db, job, decision, new.received_at) if job is not None else None
    return RecordedDelivery(new.id, verdict, reason, open_job or created)


def record(
    db: sqlite3.Connection, new: NewDelivery, ruled: Decision, verdict: Verdict, reason: str, job: str | None
) -> int:
    """Store a delivery with its decision, body and event, and return the decision's key; `job` is what it led to."""
    decision = add_decision(db, ruled)
    _insert_delivery(db, new, verdict, reason, job, decision)
    add_event(
        db,
        "delivery.received",
        actor=new.actor,
        now=new.received_at,
        delivery=new.id,
        workspace=new.workspace,
        payload={
            "deliveryId": new.id,
            "source": new.source,
            "verdict": verdict,
            "reason": reason,
            "jobId": job,
        },
    )
    return decision


def find_repeated(
    db: sqlite3.Connection,
    source: str,
    external_id: str | None,
    body_sha256: str,
    seen_since: int,
    same_body_since: int | None,
) -> RecordedDelivery | None:
    """Return the first delivery with the sender's id, or with the same bytes where those count; times in ms."""
    row = db.execute(
        FIRST_DELIVERY,
        {
            "source": source,
            "external_id": external_id,
            "seen_since": seen_since,
            "body": body_sha256,
            "same_body_since": same_body_since,
        },
    ).fetchone()
    if row is None:
        return None
    job = rows.job(find_job_row(db, row["job_id"])) if row["job_id"] else None
    first = rows.delivery(row)
    name = first.external_id or first.id
    return RecordedDelivery(first.id, Verdict.DUPLICATE, f"delivery {name} was received at {first.received_at}", job)


def _insert_delivery(
    db: sqlite3.Connection, new: NewDelivery, verdict: Verdict, reason: str, job: str | None, decision: int
) -> None:
    columns = {
        "id": new.id,
        "tail": rows.reversed_suffix(new.id),
        "source": new.source,
        "kind": new.kind,
        "workspace": new.workspace,
        "external_id": new.external_id,
        "received_at": new.received_at,
        "event": new.event,
        "action": new.action,
        "trigger": new.trigger,
        "sender": new.sender,
        "repository": new.repository,
        "thread": rows.encode(new.thread) if new.thread else None,
        "body_bytes": len(new.body),
        "body_sha256": new.body_sha256,
        "secret": new.secret,
        "headers": rows.encode(new.headers),
        "verdict": verdict,
        "reason": reason,
        "job_id": job,
        "replay_of": new.replay_of,
        "decision": decision,
    }
    key = db.execute(
        f"INSERT INTO deliveries ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
        list(columns.values()),
    ).lastrowid
    db.execute("INSERT INTO delivery_bodies (delivery, body) VALUES (?, ?)", (key, new.body))


def record_answer(
    db: sqlite3.Connection, new: NewDelivery, rule: Callable[[list[tuple[RunnerJob, ApprovalRequest]]], ApprovalResult]
) -> RecordedDelivery:
    """Store a delivery that answers for jobs waiting on its thread, and do what `rule` makes of it; once only."""
    if new.replay_of is None:
        repeated = find_repeated(db, new.source, new.external_id, new.body_sha256, new.seen_since, new.same_body_since)
        if repeated is not None:
            return repeated
    waiting: list[tuple[RunnerJob, ApprovalRequest]] = []
    if new.repository is not None and new.thread is not None:
        waiting = approvals.waiting_on_thread(db, new.workspace, new.repository, new.thread, new.source)
    answered = rule(waiting)
    decision = answered.decision
    moved: RunnerJob | None = None
    if answered.job is not None and answered.approves:
        moved = approvals.approve(db, answered.job, new.actor, answered.reason, new.received_at)
    elif answered.job is not None:
        moved = transitions.deny(db, answered.job, new.actor, answered.reason or decision.reason, new.received_at)
    record(db, new, decision, decision.verdict, decision.reason, moved.id if moved else None)
    return RecordedDelivery(new.id, decision.verdict, decision.reason, moved)


class DeliveryFilter(Struct, frozen=True, kw_only=True):
    """Which deliveries a list shows; an empty field does not narrow it. `before` is a delivery's id."""

    verdicts: tuple[Verdict, ...] = ()
    sources: tuple[str, ...] = ()
    workspace: str | None = None
    before: str | None = None


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
    """Return a delivery with its decision."""
    row = await find_by_suffix(db, "deliveries", name, workspace)
    return structs.replace(rows.delivery(row), decision=rows.decision(await find_document(db, row["decision"])))


async def get_body(db: aiosqlite.Connection, name: str, workspace: str | None) -> bytes:
    """Return the stored body of a delivery; raise Refusal where retention has removed it."""
    row = await find_by_suffix(db, "deliveries", name, workspace)
    found = await fetch_all(db, "SELECT body FROM delivery_bodies WHERE delivery = ?", [row["key"]])
    if not found:
        raise Refusal("not_found", f"the body of delivery {short_id(row['id'])} is past its retention")
    return bytes(found[0]["body"])


async def decided_deliveries(
    db: aiosqlite.Connection, workspace: str | None, since: int, before: int | None, limit: int
) -> list[tuple[int, Delivery, bytes | None, Decision | None]]:
    """Return deliveries received at `since` (ms) or later, newest first: key, delivery, body if kept, decision."""
    where, values = conditions(("d.workspace", optional(workspace)))
    if before is not None:
        where.append("d.key < ?")
        values.append(before)
    if since:  # by the index on the time to one key, and from there by keys
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
