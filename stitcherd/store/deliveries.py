"""What comes in: deliveries, their decisions and bodies, and new jobs, each whole in one transaction."""

import sqlite3
from typing import Any

from msgspec import Struct

from shared.ids import short
from shared.models import Decision, RunnerJob, Status, Thread, Verdict
from stitcherd.refusal import Refusal
from stitcherd.store import approvals, quotas, rows
from stitcherd.store.decisions import add_decision
from stitcherd.store.events import add_event
from stitcherd.store.moves import find
from stitcherd.store.quotas import Limit


class NewJob(Struct, frozen=True, kw_only=True):
    """A job as intake hands it in; `because` is the payload of its `job.created`, `quotas` what it counts against.

    With `terms` it waits for an approval first.
    """

    id: str
    workspace: str
    type: str
    profile: str
    executor: str
    priority: int
    repository: str | None
    ref: str | None
    thread: Thread | None
    prompt: str
    metadata: dict[str, Any]
    tries: int
    on_interrupt: str
    rails: str
    actor: str
    because: dict[str, Any]
    delivery: str | None = None
    agent_task: str | None = None
    idempotency_key: str | None = None
    request_sha256: str | None = None
    quotas: tuple[Limit, ...] = ()
    terms: approvals.Terms | None = None


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
    name: str | None
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


class Recorded(Struct, frozen=True):
    """What became of a delivery: its id (the first one's, for a repetition), verdict, reason and job."""

    delivery_id: str
    verdict: Verdict
    reason: str
    job: RunnerJob | None


# Whoever sent the same id, else whoever sent the same bytes; with NULL for either, nobody.
FIRST = """
SELECT * FROM deliveries WHERE key = coalesce(
  (SELECT min(key) FROM deliveries
   WHERE source = :source AND external_id = :external_id AND replay_of IS NULL AND received_at >= :seen_since),
  (SELECT min(key) FROM deliveries
   WHERE source = :source AND body_sha256 = :body AND replay_of IS NULL AND received_at >= :same_body_since))
"""


def add_delivery(db: sqlite3.Connection, new: NewDelivery, job: NewJob | None) -> Recorded:
    """Store a delivery, its decision and, where the rails allowed one, its job; or find that it came before."""
    if new.replay_of is None:
        repeated = find_repeated(db, new.source, new.external_id, new.body_sha256, new.seen_since, new.same_body_since)
        if repeated is not None:
            return repeated
    ruled, verdict, reason = new.decision, new.decision.verdict, new.decision.reason
    open_job = open_on_thread(db, job) if job is not None else None
    if open_job is not None:
        verdict = Verdict.DUPLICATE
        reason = already_open(open_job)
        job = None
    elif job is not None:
        ruled = quotas.ruled(ruled, quotas.uses(db, job.quotas, new.received_at))
        verdict, reason = ruled.verdict, ruled.reason
        job = None if verdict is Verdict.THROTTLED else job
    about = open_job.id if open_job is not None else job.id if job is not None else None
    decision = record(db, new, ruled, verdict, reason, about)
    created = add_job(db, job, decision, new.received_at) if job is not None else None
    return Recorded(new.id, verdict, reason, open_job or created)


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
) -> Recorded | None:
    """Return the first delivery with the sender's id, or with the same bytes where those count; times in ms."""
    row = db.execute(
        FIRST,
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
    job = rows.job(find(db, row["job"])) if row["job"] else None
    first = rows.delivery(row)
    name = first.external_id or first.id
    return Recorded(first.id, Verdict.DUPLICATE, f"delivery {name} was received at {first.received_at}", job)


def add_job(db: sqlite3.Connection, new: NewJob, decision: int, now: int) -> RunnerJob:
    """Store a job with its events, QUEUED, or PENDING where it needs an approval; return it."""
    thread, terms = new.thread, new.terms
    then = ("job.waiting", terms.payload()) if terms else ("job.queued", {"attempt": 1})
    columns = {
        "id": new.id,
        "tail": rows.tail(new.id),
        "workspace": new.workspace,
        "agent_task": new.agent_task,
        "type": new.type,
        "status": Status.PENDING if terms else Status.QUEUED,
        "priority": new.priority,
        "profile": new.profile,
        "executor": new.executor,
        "repository": new.repository,
        "ref": new.ref,
        "thread_kind": thread and thread.kind,
        "thread_number": thread and thread.number,
        "thread_title": thread and thread.title,
        "thread_url": thread and thread.url,
        "thread_author": thread and thread.author,
        "tries_max": new.tries,
        "on_interrupt": new.on_interrupt,
        "rails": new.rails,
        "delivery": new.delivery,
        "actor": new.actor,
        "created_at": now,
        "queued_at": None if terms else now,
        "last_event": then[0],
        "decision": decision,
        "idempotency_key": new.idempotency_key,
        "request_sha256": new.request_sha256,
    }
    row = db.execute(
        f"INSERT INTO jobs ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))}) RETURNING *",
        list(columns.values()),
    ).fetchone()
    db.execute(
        "INSERT INTO job_texts (job, prompt, metadata) VALUES (?, ?, ?)",
        (row["key"], new.prompt, rows.encode(new.metadata)),
    )
    if terms:
        approvals.keep(db, row["key"], terms)
    for type_, payload in (("job.created", new.because), then):
        add_event(db, type_, actor=new.actor, now=now, job=row["key"], workspace=new.workspace, payload=payload)
    quotas.note(db, new.quotas, new.id, now)
    return rows.job(row)


def dispatch(db: sqlite3.Connection, new: NewJob, decision: Decision, now: int) -> tuple[RunnerJob, bool]:
    """Store a job that was asked for by hand; returns it and whether it is new.

    The same idempotency key with the same request finds the first job; with another request it is refused, and so
    is a job beyond a rate.
    """
    if new.idempotency_key is not None:
        row = db.execute(
            "SELECT * FROM jobs WHERE workspace = ? AND idempotency_key = ?",
            (new.workspace, new.idempotency_key),
        ).fetchone()
        if row is not None and row["request_sha256"] != new.request_sha256:
            raise Refusal(
                "invalid",
                f"idempotencyKey {new.idempotency_key!r} was used with another request, for job {short(row['id'])}",
            )
        if row is not None:
            return rows.job(row), False
    used = quotas.uses(db, new.quotas, now)
    decision = quotas.ruled(decision, used)
    if decision.verdict is Verdict.THROTTLED:
        seconds = max((use.free_at or 0) - now for use in used) // 1000 + 1
        raise Refusal("throttled", decision.reason, retry_after=seconds, more={"decision": rows.builtins(decision)})
    return add_job(db, new, add_decision(db, decision), now), True


def remember_rails(db: sqlite3.Connection, revision: str, text: str, now: int) -> None:
    """Keep a revision of the rails for as long as a job may name it."""
    db.execute("INSERT OR IGNORE INTO rails (revision, text, loaded_at) VALUES (?, ?, ?)", (revision, text, now))


def open_on_thread(db: sqlite3.Connection, job: NewJob) -> RunnerJob | None:
    """Return the job of the same type that is open on the thread of a new one."""
    if job.thread is None:
        return None
    row = db.execute(
        "SELECT * FROM jobs WHERE workspace = ? AND repository = ? AND thread_kind = ? AND thread_number = ?"
        " AND type = ? AND status IN ('PENDING', 'QUEUED', 'RUNNING')",
        (job.workspace, job.repository, job.thread.kind, job.thread.number, job.type),
    ).fetchone()
    return None if row is None else rows.job(row)


def already_open(job: RunnerJob) -> str:
    """Return why a delivery makes no second job beside this one."""
    return f"job {short(job.id)} of type {job.type} is already {job.status} on this thread"


def _insert_delivery(
    db: sqlite3.Connection, new: NewDelivery, verdict: Verdict, reason: str, job: str | None, decision: int
) -> None:
    columns = {
        "id": new.id,
        "tail": rows.tail(new.id),
        "source": new.source,
        "kind": new.kind,
        "workspace": new.workspace,
        "external_id": new.external_id,
        "received_at": new.received_at,
        "event": new.event,
        "action": new.action,
        "name": new.name,
        "sender": new.sender,
        "repository": new.repository,
        "thread": rows.encode(new.thread) if new.thread else None,
        "body_bytes": len(new.body),
        "body_sha256": new.body_sha256,
        "secret": new.secret,
        "headers": rows.encode(new.headers),
        "verdict": verdict,
        "reason": reason,
        "job": job,
        "replay_of": new.replay_of,
        "decision": decision,
    }
    key = db.execute(
        f"INSERT INTO deliveries ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
        list(columns.values()),
    ).lastrowid
    db.execute("INSERT INTO delivery_bodies (delivery, body) VALUES (?, ?)", (key, new.body))
