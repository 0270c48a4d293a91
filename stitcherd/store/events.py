"""Events: each is appended in the transaction of the change that it records, and read by cursor."""

import sqlite3
from collections.abc import Sequence
from typing import Any

import aiosqlite

from shared.api import EventPage
from shared.models import JobEvent
from stitcherd.store import rows
from stitcherd.store.queries import fetch_all, find_by_suffix, insert_rows

NewEvent = tuple[Any, ...]  # the values of _COLUMNS
_COLUMNS = ("job", "step", "delivery", "workspace", "type", "actor", "at", "payload")


def new_event(
    type_: str,
    *,
    actor: str,
    now: int,
    job: int | None = None,
    step: str | None = None,
    delivery: str | None = None,
    workspace: str | None = None,
    payload: dict[str, Any] | None = None,
) -> NewEvent:
    """Return an event to be appended.

    `job` is the job's integer key. An event without a job belongs to `workspace`; without that too, to all.
    """
    return job, step, delivery, workspace, type_, actor, now, rows.encode(payload or {})


def add_events(db: sqlite3.Connection, *new: NewEvent) -> None:
    """Append events, in their order."""
    insert_rows(db, "INSERT INTO events", _COLUMNS, new)


EVENT_SELECT = "SELECT e.*, j.id AS job_id FROM events e LEFT JOIN jobs j ON j.key = e.job"


async def job_events(db: aiosqlite.Connection, name: str, workspace: str | None, after: int, limit: int) -> EventPage:
    """Return a page of the events of a job after the cursor, oldest first."""
    row = await find_by_suffix(db, "jobs", name, workspace)
    found = await fetch_all(
        db, f"{EVENT_SELECT} WHERE e.job = ? AND e.id > ? ORDER BY e.id LIMIT ?", [row["key"], after, limit + 1]
    )
    items = tuple(rows.event(event) for event in found[:limit])
    return EventPage(items, items[-1].id if len(found) > limit else None)


async def events_after(db: aiosqlite.Connection, cursor: int, limit: int) -> list[tuple[JobEvent, str | None]]:
    """Return the events of all workspaces after the cursor, oldest first, each with its workspace."""
    found = await fetch_all(db, f"{EVENT_SELECT} WHERE e.id > ? ORDER BY e.id LIMIT ?", [cursor, limit])
    return [(rows.event(row), row["workspace"]) for row in found]


async def events_of_types(
    db: aiosqlite.Connection, types: Sequence[str], cursor: int, limit: int
) -> tuple[list[JobEvent], int]:
    """Return events of some types after the cursor, oldest first, and the id of the last event that was looked at."""
    newest = await newest_event(db)
    found = await fetch_all(
        db,
        f"{EVENT_SELECT} WHERE e.id > ? AND e.id <= ? AND e.type IN ({', '.join('?' * len(types))})"
        " ORDER BY e.id LIMIT ?",
        [cursor, newest, *types, limit],
    )
    items = [rows.event(row) for row in found]
    return items, items[-1].id if len(items) == limit else max(newest, cursor)


async def pruned_through(db: aiosqlite.Connection) -> int:
    """Return the id of the newest event that retention has removed, 0 if it has removed none."""
    found = await fetch_all(db, "SELECT value FROM meta WHERE name = 'pruned_through'", [])
    return int(found[0]["value"]) if found else 0


async def instance(db: aiosqlite.Connection) -> str:
    """Return the id of this database; cursors of another one are not valid here."""
    return str((await fetch_all(db, "SELECT value FROM meta WHERE name = 'instance'", []))[0]["value"])


async def newest_event(db: aiosqlite.Connection) -> int:
    """Return the id of the newest event ever written, 0 if there was none."""
    found = await fetch_all(db, "SELECT seq FROM sqlite_sequence WHERE name = 'events'", [])
    return int(found[0]["seq"]) if found else 0
