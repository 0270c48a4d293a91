"""What is read from the store; every function is given a connection inside a read transaction."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import aiosqlite
import msgspec
from msgspec import Struct, structs

from shared.filters import Filter, Term
from shared.ids import now_ms, short
from shared.models import (
    Decision,
    Delivery,
    DeliveryPage,
    EventPage,
    JobEvent,
    JobPage,
    RunnerJob,
    Status,
    Verdict,
    Waiting,
)
from shared.protocol import SUFFIX_MIN
from stitcherd.refusal import Refusal
from stitcherd.store import approvals, rows
from stitcherd.store.selecting import matching

EVENTS_SHOWN = 200  # of a job's events stand in its detail
EVENT = "SELECT e.*, j.id AS job_id FROM events e LEFT JOIN jobs j ON j.key = e.job"


class JobFilter(Struct, frozen=True, kw_only=True):
    """Which jobs a list shows; an empty field does not narrow it. `before` is a job's id."""

    query: Filter = Filter()
    statuses: tuple[Status, ...] = ()
    types: tuple[str, ...] = ()
    agent_task: str | None = None
    repository: str | None = None
    workspace: str | None = None
    before: str | None = None


class DeliveryFilter(Struct, frozen=True, kw_only=True):
    """Which deliveries a list shows; an empty field does not narrow it. `before` is a delivery's id."""

    verdicts: tuple[Verdict, ...] = ()
    sources: tuple[str, ...] = ()
    workspace: str | None = None
    before: str | None = None


async def job_page(db: aiosqlite.Connection, wanted: JobFilter, limit: int) -> JobPage:
    """Return a page of jobs, newest first, with the counts of the workspace and the newest event's id."""
    below = None if wanted.before is None else (await _find(db, "jobs", wanted.before, wanted.workspace))["key"]
    keys = await matching(db, _terms(wanted), wanted.workspace, now_ms(), below=below, limit=limit + 1)
    found = await _all(db, f"SELECT * FROM jobs WHERE key IN ({keys.statement}) ORDER BY key DESC", keys.values)
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
    given |= {"agent": _one(wanted.agent_task), "repo": _one(wanted.repository)}
    return Filter((*wanted.query.terms, *(Term(key, values) for key, values in given.items() if values)))


async def job_detail(db: aiosqlite.Connection, name: str, workspace: str | None) -> RunnerJob:
    """Return a job, named by its id or the end of it, with its texts, steps, last events and decision."""
    row = await _find(db, "jobs", name, workspace)
    texts = (await _all(db, "SELECT * FROM job_texts WHERE job = ?", [row["key"]]))[0]
    steps = await _all(db, "SELECT * FROM steps WHERE job = ? ORDER BY attempt, ordinal", [row["key"]])
    newest = await _all(db, f"{EVENT} WHERE e.job = ? ORDER BY e.id DESC LIMIT ?", [row["key"], EVENTS_SHOWN])
    return structs.replace(
        rows.job(row),
        waiting=(await _waiting(db, [row])).get(row["key"]),
        prompt=texts["prompt"],
        result=rows.result(texts["result"]),
        metadata=msgspec.json.decode(texts["metadata"]),
        steps=tuple(rows.step(step, row["id"]) for step in steps),
        events=tuple(rows.event(event) for event in reversed(newest)),
        decision=rows.decision(await _document(db, row["decision"])),
    )


async def job(db: aiosqlite.Connection, name: str, workspace: str | None) -> RunnerJob:
    """Return a job, named by its id or the end of it, as lists show it."""
    return rows.job(await _find(db, "jobs", name, workspace))


async def prompt(db: aiosqlite.Connection, job_id: str) -> str:
    """Return the prompt of a job."""
    found = await _all(db, "SELECT t.prompt FROM job_texts t JOIN jobs j ON j.key = t.job WHERE j.id = ?", [job_id])
    return str(found[0]["prompt"])


async def job_events(db: aiosqlite.Connection, name: str, workspace: str | None, after: int, limit: int) -> EventPage:
    """Return a job's events behind the cursor, oldest first."""
    row = await _find(db, "jobs", name, workspace)
    found = await _all(
        db, f"{EVENT} WHERE e.job = ? AND e.id > ? ORDER BY e.id LIMIT ?", [row["key"], after, limit + 1]
    )
    items = tuple(rows.event(event) for event in found[:limit])
    return EventPage(items, items[-1].id if len(found) > limit else None)


async def events_after(db: aiosqlite.Connection, cursor: int, limit: int) -> list[tuple[JobEvent, str | None]]:
    """Return the events of everybody behind the cursor, oldest first, each with its workspace."""
    found = await _all(db, f"{EVENT} WHERE e.id > ? ORDER BY e.id LIMIT ?", [cursor, limit])
    return [(rows.event(row), row["workspace"]) for row in found]


async def pruned_through(db: aiosqlite.Connection) -> int:
    """Return the id of the newest event that retention has removed; 0 where it has removed none."""
    found = await _all(db, "SELECT value FROM meta WHERE name = 'pruned_through'", [])
    return int(found[0]["value"]) if found else 0


async def step_place(db: aiosqlite.Connection, name: str, step_id: str, workspace: str | None) -> tuple[str, int, int]:
    """Return where a step's log lies: its job's id, attempt and ordinal."""
    row = await _find(db, "jobs", name, workspace)
    found = await _all(db, "SELECT attempt, ordinal FROM steps WHERE job = ? AND id = ?", [row["key"], step_id])
    if not found:
        raise Refusal("not_found", f"job {short(row['id'])} has no step {step_id!r}")
    return row["id"], found[0]["attempt"], found[0]["ordinal"]


async def delivery_page(db: aiosqlite.Connection, wanted: DeliveryFilter, limit: int) -> DeliveryPage:
    """Return a page of deliveries, newest first."""
    where, values = _where(
        ("verdict", wanted.verdicts), ("source", wanted.sources), ("workspace", _one(wanted.workspace))
    )
    if wanted.before is not None:
        where.append("key < ?")
        values.append((await _find(db, "deliveries", wanted.before, wanted.workspace))["key"])
    found = await _all(db, f"SELECT * FROM deliveries{_and(where)} ORDER BY key DESC LIMIT ?", [*values, limit + 1])
    items = tuple(rows.delivery(row) for row in found[:limit])
    return DeliveryPage(items, items[-1].id if len(found) > limit else None)


async def delivery(db: aiosqlite.Connection, name: str, workspace: str | None) -> Delivery:
    """Return a delivery with its decision."""
    row = await _find(db, "deliveries", name, workspace)
    return structs.replace(rows.delivery(row), decision=rows.decision(await _document(db, row["decision"])))


async def delivery_body(db: aiosqlite.Connection, name: str, workspace: str | None) -> bytes:
    """Return the stored body of a delivery; raise Refusal where retention has removed it."""
    row = await _find(db, "deliveries", name, workspace)
    found = await _all(db, "SELECT body FROM delivery_bodies WHERE delivery = ?", [row["key"]])
    if not found:
        raise Refusal("not_found", f"the body of delivery {short(row['id'])} is past its retention")
    return bytes(found[0]["body"])


async def decided(
    db: aiosqlite.Connection, workspace: str | None, since: int, before: int | None, limit: int
) -> list[tuple[int, Delivery, bytes | None, Decision | None]]:
    """Return deliveries received at `since` (ms) or later, newest first: key, delivery, body if kept, decision."""
    where, values = _where(("d.workspace", _one(workspace)))
    if before is not None:
        where.append("d.key < ?")
        values.append(before)
    if since:  # by the index on the time to one key, and from there by keys
        where.append("d.key >= (SELECT key FROM deliveries WHERE received_at >= ? ORDER BY received_at LIMIT 1)")
        values.append(since)
    found = await _all(
        db,
        "SELECT d.*, b.body AS body, c.document AS document FROM deliveries d"
        " LEFT JOIN delivery_bodies b ON b.delivery = d.key LEFT JOIN decisions c ON c.key = d.decision"
        f"{_and(where)} ORDER BY d.key DESC LIMIT ?",
        [*values, limit],
    )
    return [(row["key"], rows.delivery(row), row["body"], rows.decision(row["document"])) for row in found]


async def waiting(db: aiosqlite.Connection) -> list[tuple[str, int, int]]:
    """Return (id, attempt, priority) of every queued job, in the order in which they shall start."""
    found = await _all(
        db, "SELECT id, attempt, priority FROM jobs WHERE status = 'QUEUED' ORDER BY priority DESC, key", []
    )
    return [(row["id"], row["attempt"], row["priority"]) for row in found]


async def running(db: aiosqlite.Connection) -> list[str]:
    """Return the ids of the jobs that are RUNNING."""
    return [row["id"] for row in await _all(db, "SELECT id FROM jobs WHERE status = 'RUNNING'", [])]


async def rails_text(db: aiosqlite.Connection, revision: str) -> str | None:
    """Return the text of a revision of the rails."""
    found = await _all(db, "SELECT text FROM rails WHERE revision = ?", [revision])
    return str(found[0]["text"]) if found else None


async def instance(db: aiosqlite.Connection) -> str:
    """Return the name of this database: another one means that cursors start anew."""
    return str((await _all(db, "SELECT value FROM meta WHERE name = 'instance'", []))[0]["value"])


async def newest_event(db: aiosqlite.Connection) -> int:
    """Return the id of the newest event that was ever written."""
    found = await _all(db, "SELECT seq FROM sqlite_sequence WHERE name = 'events'", [])
    return int(found[0]["seq"]) if found else 0


async def _counts(db: aiosqlite.Connection, workspace: str | None) -> dict[str, int]:
    where, values = _where(("workspace", _one(workspace)))
    found = await _all(db, f"SELECT status, sum(n) AS n FROM job_counts{_and(where)} GROUP BY status", values)
    counts = {row["status"]: row["n"] for row in found}
    return {status.lower(): counts.get(status, 0) for status in Status}


async def _waiting(db: aiosqlite.Connection, jobs: Sequence[sqlite3.Row]) -> dict[int, Waiting]:
    """Return what those of the jobs that are PENDING wait for, by their keys."""
    keys = [row["key"] for row in jobs if row["status"] == Status.PENDING]
    if not keys:
        return {}
    terms = await _all(db, f"SELECT job, terms FROM approvals WHERE job IN ({', '.join('?' * len(keys))})", keys)
    return {row["job"]: approvals.waiting(row["terms"]) for row in terms}


async def _document(db: aiosqlite.Connection, decision: int | None) -> str | None:
    found = await _all(db, "SELECT document FROM decisions WHERE key = ?", [decision])
    return found[0]["document"] if found else None


async def _find(db: aiosqlite.Connection, table: str, name: str, workspace: str | None) -> sqlite3.Row:
    """Return the one row whose id is `name` or ends with it; raise Refusal for none or several."""
    noun = "job" if table == "jobs" else "delivery"
    name = name.lower()
    ending = rows.tail(name)
    where, values = _where(("workspace", _one(workspace)))
    found = await _all(
        db,
        f"SELECT * FROM {table}{_and([*where, 'tail >= ?', 'tail < ?'])} LIMIT 20",
        [*values, ending, ending + "~"],
    )
    found = [row for row in found if row["id"].endswith(name)] if len(name) >= SUFFIX_MIN else []
    if not found:
        raise Refusal("not_found", f"there is no {noun} {name!r}")
    if len(found) > 1:
        raise Refusal("ambiguous_id", f"{name!r} is the end of {' and '.join(row['id'] for row in found)}")
    return found[0]


def _one(value: str | None) -> tuple[str, ...]:
    return () if value is None else (value,)


def _where(*wanted: tuple[str, Sequence[str]]) -> tuple[list[str], list[Any]]:
    """Return conditions and their values for the columns that are narrowed."""
    clauses = [f"{column} IN ({', '.join('?' * len(values))})" for column, values in wanted if values]
    return clauses, [value for _, values in wanted for value in values]


def _and(clauses: Iterable[str]) -> str:
    joined = " AND ".join(clauses)
    return f" WHERE {joined}" if joined else ""


async def _all(db: aiosqlite.Connection, statement: str, values: Sequence[Any] | dict[str, Any]) -> list[sqlite3.Row]:
    return list(await db.execute_fetchall(statement, values))  # one turn of the reader's thread, not three
