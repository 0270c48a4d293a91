"""What is read from the store; every function is given a connection inside a read transaction."""

import sqlite3
from collections.abc import Sequence
from typing import Any

import aiosqlite
import msgspec
from msgspec import Struct, structs

from shared.api import JobPage
from shared.filters import Filter, FilterTerm
from shared.ids import now_ms, short_id
from shared.models import Decision, PendingApproval, RunnerJob, Status, Thread, Verdict
from stitcherd import policy
from stitcherd.errors import Refusal
from stitcherd.store import approvals, limits, rows
from stitcherd.store.decisions import add_decision, find_document
from stitcherd.store.events import EVENT_SELECT, add_event, newest_event
from stitcherd.store.limits import Limit
from stitcherd.store.queries import conditions, fetch_all, find_by_suffix, optional, where_clause
from stitcherd.store.search import matching_keys


class NewJob(Struct, frozen=True, kw_only=True):
    """A job to be stored; the fields are named as the columns of its table.

    `origin` is the payload of its event `job.created`; it counts against each of `limits`, and waits for the
    `approval` first where it has one.
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
    tries_max: int
    on_interrupt: str
    rails_revision: str
    actor: str
    origin: dict[str, Any]
    delivery_id: str | None = None
    agent_task_id: str | None = None
    idempotency_key: str | None = None
    request_sha256: str | None = None
    limits: tuple[Limit, ...] = ()
    approval: policy.ApprovalRequest | None = None


def add_job(db: sqlite3.Connection, new: NewJob, decision: int, now: int) -> RunnerJob:
    """Store a job with its events, QUEUED, or PENDING where it needs an approval; return it."""
    thread, request = new.thread, new.approval
    then = ("job.waiting", request.payload()) if request else ("job.queued", {"attempt": 1})
    columns = {
        "id": new.id,
        "tail": rows.reversed_suffix(new.id),
        "workspace": new.workspace,
        "agent_task_id": new.agent_task_id,
        "type": new.type,
        "status": Status.PENDING if request else Status.QUEUED,
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
        "tries_max": new.tries_max,
        "on_interrupt": new.on_interrupt,
        "rails_revision": new.rails_revision,
        "delivery_id": new.delivery_id,
        "actor": new.actor,
        "created_at": now,
        "queued_at": None if request else now,
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
    if request:
        approvals.save_request(db, row["key"], request)
    for type_, payload in (("job.created", new.origin), then):
        add_event(db, type_, actor=new.actor, now=now, job=row["key"], workspace=new.workspace, payload=payload)
    limits.count_job(db, new.limits, new.id, now)
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
                f"idempotencyKey {new.idempotency_key!r} was used with another request, for job {short_id(row['id'])}",
            )
        if row is not None:
            return rows.job(row), False
    used = limits.read_uses(db, new.limits, now)
    decision = limits.apply_limits(decision, used)
    if decision.verdict is Verdict.THROTTLED:
        seconds = max((use.free_at or 0) - now for use in used) // 1000 + 1
        raise Refusal("throttled", decision.reason, retry_after=seconds, more={"decision": rows.to_payload(decision)})
    return add_job(db, new, add_decision(db, decision), now), True


def find_open_on_thread(db: sqlite3.Connection, job: NewJob) -> RunnerJob | None:
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
    return f"job {short_id(job.id)} of type {job.type} is already {job.status} on this thread"


EVENTS_SHOWN = 200  # of a job's events stand in its detail


class JobFilter(Struct, frozen=True, kw_only=True):
    """Which jobs a list shows; an empty field does not narrow it. `before` is a job's id."""

    query: Filter = Filter()
    statuses: tuple[Status, ...] = ()
    types: tuple[str, ...] = ()
    agent_task_id: str | None = None
    repository: str | None = None
    workspace: str | None = None
    before: str | None = None


async def job_page(db: aiosqlite.Connection, wanted: JobFilter, limit: int) -> JobPage:
    """Return a page of jobs, newest first, with the counts of the workspace and the newest event's id."""
    below = (
        None if wanted.before is None else (await find_by_suffix(db, "jobs", wanted.before, wanted.workspace))["key"]
    )
    keys = await matching_keys(db, _terms(wanted), wanted.workspace, now_ms(), below=below, limit=limit + 1)
    found = await fetch_all(db, f"SELECT * FROM jobs WHERE key IN ({keys.statement}) ORDER BY key DESC", keys.values)
    waiting = await _waiting(db, found)
    jobs = ((rows.job(row), waiting.get(row["key"])) for row in found[:limit])
    items = tuple(structs.replace(job, waiting=what) if what else job for job, what in jobs)
    return JobPage(
        items=items,
        next=items[-1].id if len(found) > limit else None,
        cursor=await newest_event(db),
        counts=await _counts(db, wanted.workspace),
    )


def _terms(wanted: JobFilter) -> Filter:
    given = {"state": wanted.statuses, "type": wanted.types}
    given |= {"agent": optional(wanted.agent_task_id), "repo": optional(wanted.repository)}
    return Filter((*wanted.query.terms, *(FilterTerm(key, values) for key, values in given.items() if values)))


async def get_job_detail(db: aiosqlite.Connection, name: str, workspace: str | None) -> RunnerJob:
    """Return a job, named by its id or the end of it, with its texts, steps, last events and decision."""
    row = await find_by_suffix(db, "jobs", name, workspace)
    texts = (await fetch_all(db, "SELECT * FROM job_texts WHERE job = ?", [row["key"]]))[0]
    steps = await fetch_all(db, "SELECT * FROM steps WHERE job = ? ORDER BY attempt, ordinal", [row["key"]])
    newest = await fetch_all(
        db, f"{EVENT_SELECT} WHERE e.job = ? ORDER BY e.id DESC LIMIT ?", [row["key"], EVENTS_SHOWN]
    )
    return structs.replace(
        rows.job(row),
        waiting=(await _waiting(db, [row])).get(row["key"]),
        prompt=texts["prompt"],
        result=rows.result(texts["result"]),
        metadata=msgspec.json.decode(texts["metadata"]),
        steps=tuple(rows.step(step, row["id"]) for step in steps),
        events=tuple(rows.event(event) for event in reversed(newest)),
        decision=rows.decision(await find_document(db, row["decision"])),
    )


async def get_job_id(db: aiosqlite.Connection, name: str, workspace: str | None) -> str:
    """Return the whole id of a job, named by its id or the end of it; raise Refusal."""
    job_id: str = (await find_by_suffix(db, "jobs", name, workspace))["id"]
    return job_id


async def get_job(db: aiosqlite.Connection, name: str, workspace: str | None) -> RunnerJob:
    """Return a job, named by its id or the end of it, as lists show it."""
    return rows.job(await find_by_suffix(db, "jobs", name, workspace))


async def get_prompt(db: aiosqlite.Connection, job_id: str) -> str:
    """Return the prompt of a job."""
    found = await fetch_all(
        db, "SELECT t.prompt FROM job_texts t JOIN jobs j ON j.key = t.job WHERE j.id = ?", [job_id]
    )
    return str(found[0]["prompt"])


async def step_place(db: aiosqlite.Connection, name: str, step_id: str, workspace: str | None) -> tuple[str, int, int]:
    """Return where a step's log lies: its job's id, attempt and ordinal."""
    row = await find_by_suffix(db, "jobs", name, workspace)
    found = await fetch_all(db, "SELECT attempt, ordinal FROM steps WHERE job = ? AND id = ?", [row["key"], step_id])
    if not found:
        raise Refusal("not_found", f"job {short_id(row['id'])} has no step {step_id!r}")
    return row["id"], found[0]["attempt"], found[0]["ordinal"]


async def queued_jobs(db: aiosqlite.Connection) -> list[tuple[str, int, int]]:
    """Return (id, attempt, priority) of every queued job, in the order in which they shall start."""
    found = await fetch_all(
        db, "SELECT id, attempt, priority FROM jobs WHERE status = 'QUEUED' ORDER BY priority DESC, key", []
    )
    return [(row["id"], row["attempt"], row["priority"]) for row in found]


async def running_job_ids(db: aiosqlite.Connection) -> list[str]:
    """Return the ids of the jobs that are RUNNING."""
    return [row["id"] for row in await fetch_all(db, "SELECT id FROM jobs WHERE status = 'RUNNING'", [])]


async def _counts(db: aiosqlite.Connection, workspace: str | None) -> dict[str, int]:
    where, values = conditions(("workspace", optional(workspace)))
    found = await fetch_all(
        db, f"SELECT status, sum(n) AS n FROM job_counts{where_clause(where)} GROUP BY status", values
    )
    counts = {row["status"]: row["n"] for row in found}
    return {status.lower(): counts.get(status, 0) for status in Status}


async def _waiting(db: aiosqlite.Connection, jobs: Sequence[sqlite3.Row]) -> dict[int, PendingApproval]:
    """Return what those of the jobs that are PENDING wait for, by their keys."""
    keys = [row["key"] for row in jobs if row["status"] == Status.PENDING]
    if not keys:
        return {}
    found = await fetch_all(db, f"SELECT job, request FROM approvals WHERE job IN ({', '.join('?' * len(keys))})", keys)
    return {row["job"]: approvals.waiting_of(row["request"]) for row in found}
