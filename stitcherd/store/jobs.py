"""Jobs: storing new ones, and reading pages, one job, its texts, and what is queued or running.

The asynchronous functions are given a reader inside a read transaction.
"""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import Struct, structs

from shared.api import JobPage
from shared.filters import Filter, FilterTerm
from shared.ids import now_ms, short_id
from shared.models import Decision, PendingApproval, RunnerJob, Status, Thread
from stitcherd.errors import Refusal
from stitcherd.policy import ApprovalRequest, JobLimit, with_uses
from stitcherd.store import answers, approvals, limits, rows
from stitcherd.store.db import Db, Reader, Row
from stitcherd.store.decisions import add_decision, find_document
from stitcherd.store.events import EVENT_SELECT, NewEvent, add_events, new_event, newest_event
from stitcherd.store.in_force import refuse_others
from stitcherd.store.limits import LimitsReached
from stitcherd.store.queries import (
    chunks,
    conditions,
    fetch_all,
    find_by_suffix,
    insert_rows,
    key_of_cursor,
    optional,
    row_marks,
    where_clause,
)
from stitcherd.store.search import matching_keys

FIRST_ATTEMPT = 1  # of each job
EVENTS_SHOWN = 200  # events in the detail of a job
_OPEN_KEYS = """
WITH asked (at, workspace, repository, kind, number, type) AS (VALUES {marks})
SELECT at, key FROM (SELECT at, (
  SELECT j.key FROM jobs j WHERE j.workspace = asked.workspace
    AND j.repository COLLATE NOCASE = asked.repository COLLATE NOCASE AND j.thread_kind = asked.kind
    AND j.thread_number = asked.number AND j.type = asked.type
    AND j.status IN ('PENDING', 'QUEUED', 'RUNNING')) AS key FROM asked) found WHERE key IS NOT NULL
"""
_JOB = "SELECT * FROM jobs WHERE key = ?"


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
    rails_digest: str
    actor: str
    origin: dict[str, Any]
    delivery_id: str | None = None
    agent_task_id: str | None = None
    idempotency_key: str | None = None
    request_sha256: str | None = None
    limits: tuple[JobLimit, ...] = ()
    approval: ApprovalRequest | None = None
    target: str | None = None
    head_sha: str | None = None

    def columns(self) -> dict[str, Any]:
        """Return the columns of its row that do not depend on when it is stored."""
        found = dict(zip(COLUMNS, _COLUMN_VALUES(self), strict=True))
        return found | {f"thread_{name}": getattr(self.thread, name, None) for name in Thread.__struct_fields__}

    @property
    def status(self) -> Status:
        """The status with which it is stored."""
        return Status.PENDING if self.approval else Status.QUEUED


_IN_OTHER_TABLES = {"thread", "prompt", "metadata", "origin", "limits", "approval"}
COLUMNS = tuple(name for name in NewJob.__struct_fields__ if name not in _IN_OTHER_TABLES)
_COLUMN_VALUES = attrgetter(*COLUMNS)


class JobFilter(Struct, frozen=True, kw_only=True):
    """The jobs that a list shows; an empty field does not narrow it. `before` is the id of a job."""

    query: Filter = Filter()
    statuses: tuple[Status, ...] = ()
    types: tuple[str, ...] = ()
    agent_task_id: str | None = None
    repository: str | None = None
    workspace: str | None = None
    before: str | None = None


def add_jobs(db: Db, added: Sequence[tuple[NewJob, int, int]]) -> list[tuple[NewEvent, NewEvent]]:
    """Store jobs, each given with the key of its decision and its time, QUEUED, or PENDING where it needs an approval.

    Returns the events of each, for the caller to append. No two of the jobs have a limit with the same key.
    """
    if not added:
        return []
    keys = db.new_keys("jobs", len(added))
    columns = [
        {"key": key, **new.columns(), **_first_state(new, now), "decision": decision}
        for key, (new, decision, now) in zip(keys, added, strict=True)
    ]
    insert_rows(db, "INSERT INTO jobs", tuple(columns[0]), [tuple(each.values()) for each in columns])
    texts = [(key, new.prompt, rows.encode(new.metadata)) for key, (new, _, _) in zip(keys, added, strict=True)]
    insert_rows(db, "INSERT INTO job_texts", ("job", "prompt", "metadata"), texts)
    for key, (new, _, _) in zip(keys, added, strict=True):
        if new.approval:
            approvals.save_request(db, key, new.approval)
    limits.count_jobs(db, [(new.id, new.limits, now) for new, _, now in added])
    return [_first_events(new, key, now) for key, (new, _, now) in zip(keys, added, strict=True)]


def _first_state(new: NewJob, now: int) -> dict[str, Any]:
    """Return the columns of a new job's row that depend on when it is stored, and on its status."""
    return {
        "tail": rows.reversed_suffix(new.id),
        "status": new.status,
        "created_at": now,
        "queued_at": None if new.approval else now,
        "last_event": "job.waiting" if new.approval else "job.queued",
        "decided_under": new.rails_digest,
    }


def _first_events(new: NewJob, key: int, now: int) -> tuple[NewEvent, NewEvent]:
    about: dict[str, Any] = {"actor": new.actor, "now": now, "job": (key, new.id), "workspace": new.workspace}
    created = new_event("job.created", **about, payload=new.origin)
    if new.approval:
        return created, new_event("job.waiting", **about, payload=new.approval.payload())
    return created, new_event("job.queued", **about, payload={"attempt": FIRST_ATTEMPT})


def dispatch(
    db: Db, new: NewJob, decision: Decision, now: int, rails_in_force: str | None = None
) -> tuple[RunnerJob, bool] | LimitsReached:
    """Store a job that was requested by hand; return it and whether it is new. Stores nothing where a limit is reached.

    The same idempotency key with the same request finds the first job; with another request it raises Refusal.
    `rails_in_force` is the digest of those that it was decided under: RailsReplaced is raised if others are.
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
    refuse_others(db, [rails_in_force])
    uses = limits.count_uses(db, new.limits, now)
    if limits.are_reached(uses):
        return LimitsReached(uses)
    [told] = add_jobs(db, [(new, add_decision(db, with_uses(decision, uses)), now)])
    add_events(db, *told)
    return rows.job(db.execute("SELECT * FROM jobs WHERE id = ?", (new.id,)).fetchone()), True


def open_on_threads(db: Db, new: Sequence[NewJob | None]) -> dict[int, RunnerJob]:
    """Return the open jobs of the same type on the threads of new ones, as the writer sees them, by index."""
    asked = [(at, *_place(job)) for at, job in enumerate(new) if job is not None and job.thread is not None]
    found: dict[int, RunnerJob] = {}
    for part in chunks(asked):
        for at, key in db.execute(*_open_keys(part)).fetchall():
            found[at] = rows.job(db.execute(_JOB, (key,)).fetchone())
    return found


async def find_open_on_thread(db: Reader, new: NewJob) -> RunnerJob | None:
    """Return the open job of the same type on the thread of a new one."""
    found = await fetch_all(db, *_open_keys([(0, *_place(new))])) if new.thread is not None else []
    return rows.job((await fetch_all(db, _JOB, [found[0]["key"]]))[0]) if found else None


async def job_page(db: Reader, wanted: JobFilter, limit: int) -> JobPage:
    """Return a page of jobs, newest first, with the counts of the workspace and the id of the newest event."""
    before = wanted.before
    below = None if before is None else await key_of_cursor(db, "jobs", before, wanted.workspace)
    keys = await matching_keys(db, _terms(wanted), wanted.workspace, now_ms(), below=below, limit=limit + 1)
    found = await fetch_all(db, f"SELECT * FROM jobs WHERE key IN ({keys.statement}) ORDER BY key DESC", keys.values)
    waiting = await _pending_approvals(db, found)
    jobs = ((rows.job(row), waiting.get(row["key"])) for row in found[:limit])
    items = tuple(structs.replace(job, waiting=pending) if pending else job for job, pending in jobs)
    return JobPage(
        items=items,
        next=items[-1].id if len(found) > limit else None,
        cursor=await newest_event(db),
        counts=await _counts(db, wanted.workspace),
    )


async def get_job(db: Reader, name: str, workspace: str | None) -> RunnerJob:
    """Return a job, named by its id or the end of it, as lists show it; raise Refusal for none or several."""
    return rows.job(await find_by_suffix(db, "jobs", name, workspace))


async def get_job_detail(db: Reader, name: str, workspace: str | None) -> RunnerJob:
    """Return a job, named as for `get_job`, with its texts, steps, newest events, decision and answers."""
    row = await find_by_suffix(db, "jobs", name, workspace)
    texts = (await fetch_all(db, "SELECT * FROM job_texts WHERE job = ?", [row["key"]]))[0]
    steps = await fetch_all(db, "SELECT * FROM steps WHERE job = ? ORDER BY attempt, ordinal", [row["key"]])
    newest = f"{EVENT_SELECT} WHERE e.job = ? ORDER BY e.id DESC LIMIT ?"
    events = await fetch_all(db, newest, [row["key"], EVENTS_SHOWN])
    answered, change = await answers.job_answers(db, row["id"])
    return structs.replace(
        rows.job(row),
        waiting=(await _pending_approvals(db, [row])).get(row["key"]),
        prompt=texts["prompt"],
        result=rows.result(texts["result"]),
        metadata=msgspec.json.decode(texts["metadata"]),
        steps=tuple(rows.step(step, row["id"]) for step in steps),
        events=tuple(rows.event(event) for event in reversed(events)),
        decision=rows.decision(await find_document(db, row["decision"])),
        change=change,
        answers=answered,
    )


async def get_job_id(db: Reader, name: str, workspace: str | None) -> str:
    """Return the whole id of a job, named as for `get_job`; raise Refusal for none or several."""
    job_id: str = (await find_by_suffix(db, "jobs", name, workspace))["id"]
    return job_id


async def get_prompt(db: Reader, job_id: str) -> str:
    """Return the prompt of a job."""
    found = await fetch_all(
        db, "SELECT t.prompt FROM job_texts t JOIN jobs j ON j.key = t.job WHERE j.id = ?", [job_id]
    )
    return str(found[0]["prompt"])


async def step_log(db: Reader, name: str, step_id: str, workspace: str | None) -> tuple[tuple[str, int, int], int]:
    """Return job id, attempt and ordinal of a step, which name its log file, and how many bytes it is known to have.

    Raises Refusal if there is no such step.
    """
    row = await find_by_suffix(db, "jobs", name, workspace)
    query = "SELECT attempt, ordinal, coalesce(output_bytes, 0) AS bytes FROM steps WHERE job = ? AND id = ?"
    found = await fetch_all(db, query, [row["key"], step_id])
    if not found:
        raise Refusal("not_found", f"job {short_id(row['id'])} has no step {step_id!r}")
    return (row["id"], found[0]["attempt"], found[0]["ordinal"]), found[0]["bytes"]


async def next_jobs(db: Reader, limit: int) -> list[tuple[str, int, int]]:
    """Return (id, attempt, priority) of the queued jobs that are not held, in the order in which they are to start."""
    found = await fetch_all(
        db,
        "SELECT id, attempt, priority FROM jobs INDEXED BY jobs_next WHERE status = 'QUEUED' AND held IS NULL"
        " ORDER BY priority DESC, key LIMIT ?",
        [limit],
    )
    return [(row["id"], row["attempt"], row["priority"]) for row in found]


def _open_keys(asked: Sequence[tuple[object, ...]]) -> tuple[str, list[object]]:
    """Return the statement that finds the key of the open job on each thread that has one, by its number."""
    statement = _OPEN_KEYS.format(marks=row_marks(len(asked), len(asked[0])))
    return statement, [value for each in asked for value in each]


def _place(new: NewJob) -> tuple[object, ...]:
    thread = new.thread
    return new.workspace, new.repository, thread and thread.kind, thread and thread.number, new.type


def _terms(wanted: JobFilter) -> Filter:
    given = {"state": wanted.statuses, "type": wanted.types}
    given |= {"agent": optional(wanted.agent_task_id), "repo": optional(wanted.repository)}
    return Filter((*wanted.query.terms, *(FilterTerm(key, values) for key, values in given.items() if values)))


async def _counts(db: Reader, workspace: str | None) -> dict[str, int]:
    where, values = conditions(("workspace", optional(workspace)))
    found = await fetch_all(
        db, f"SELECT status, sum(n) AS n FROM job_counts{where_clause(where)} GROUP BY status", values
    )
    counts = {row["status"]: row["n"] for row in found}
    return {status.lower(): counts.get(status, 0) for status in Status}


async def _pending_approvals(db: Reader, jobs: Sequence[Row]) -> dict[int, PendingApproval]:
    """Return what the PENDING ones among the jobs wait for, by integer key."""
    keys = [row["key"] for row in jobs if row["status"] == Status.PENDING]
    if not keys:
        return {}
    marks = ", ".join("?" * len(keys))
    found = await fetch_all(db, f"SELECT job, request FROM approvals WHERE job IN ({marks})", keys)
    return {row["job"]: approvals.pending_approval(row["request"]) for row in found}
