"""Events: each is appended in the transaction of the change that it records, and read by cursor.

Each has a hash over the one before it: shared.audit says what of.
"""

from collections.abc import Collection
from typing import Any

from msgspec import Raw, Struct

from shared.api import EventPage
from shared.audit import NO_HASH, AuditedEvent, chained_hash, event_text
from shared.ids import format_timestamp
from shared.models import JobEvent
from stitcherd.store import rows
from stitcherd.store.db import Db, Reader
from stitcherd.store.queries import fetch_all, find_by_suffix, insert_rows

NewEvent = tuple[Any, ...]  # the arguments of new_event, in the order of the columns
_COLUMNS = ("id", "job", "step", "delivery", "workspace", "type", "actor", "at", "payload", "hash")
_NEWEST = "SELECT seq FROM sqlite_sequence WHERE name = 'events'"
_LAST = (
    "SELECT seq AS id, coalesce((SELECT hash FROM events WHERE id = seq), (SELECT hash FROM removed_events"
    " WHERE last = seq)) AS hash FROM sqlite_sequence WHERE name = 'events'"
)


def new_event(
    type_: str,
    *,
    actor: str,
    now: int,
    job: tuple[int, str] | None = None,
    step: str | None = None,
    delivery: str | None = None,
    workspace: str | None = None,
    payload: dict[str, Any] | None = None,
) -> NewEvent:
    """Return an event to be appended.

    `job` is the job's integer key and its id. An event without a job belongs to `workspace`; without that too, to all.
    """
    return job, step, delivery, workspace, type_, actor, now, rows.encode(payload or {})


def add_events(db: Db, *new: NewEvent) -> None:
    """Append events, in their order, on the connection of the writer."""
    number, hash_ = db.last_event or _read_last(db)
    added, formatted = [], (0, "")
    for number, (job, step, delivery, workspace, type_, actor, at, payload) in enumerate(new, number + 1):  # noqa: B020
        key, job_id = job or (None, None)
        if formatted[0] != at:  # most have the same time as the one before
            formatted = at, format_timestamp(at)
        event = AuditedEvent(number, job_id, step, delivery, workspace, type_, actor, formatted[1], Raw(payload))
        hash_ = chained_hash(hash_, event_text(event))
        added.append((number, key, step, delivery, workspace, type_, actor, at, payload, hash_))
    insert_rows(db, "INSERT INTO events", _COLUMNS, added)
    db.last_event = number, hash_


def _read_last(db: Db) -> tuple[int, bytes]:
    last = db.execute(_LAST).fetchone()
    return (last["id"], last["hash"] or NO_HASH) if last else (0, NO_HASH)


EVENT_SELECT = "SELECT e.*, j.id AS job_id FROM events e LEFT JOIN jobs j ON j.key = e.job"


async def job_events(db: Reader, name: str, workspace: str | None, after: int, limit: int) -> EventPage:
    """Return a page of the events of a job after the cursor, oldest first."""
    row = await find_by_suffix(db, "jobs", name, workspace)
    found = await fetch_all(
        db, f"{EVENT_SELECT} WHERE e.job = ? AND e.id > ? ORDER BY e.id LIMIT ?", [row["key"], after, limit + 1]
    )
    items = tuple(rows.event(event) for event in found[:limit])
    return EventPage(items, items[-1].id if len(found) > limit else None)


async def events_after(db: Reader, cursor: int, limit: int) -> list[tuple[JobEvent, str | None]]:
    """Return the events of all workspaces after the cursor, oldest first, each with its workspace."""
    found = await fetch_all(db, f"{EVENT_SELECT} WHERE e.id > ? ORDER BY e.id LIMIT ?", [cursor, limit])
    return [(rows.event(row), row["workspace"]) for row in found]


class FollowedEvent(Struct, frozen=True):
    """An event as those see it who follow the events; `job` and `delivery` are ids, `at` is in milliseconds.

    `payload` is JSON. `source`, `verdict` and `reason` are those of the delivery as it is now.
    """

    id: int
    type: str
    actor: str
    job: str | None
    delivery: str | None
    at: int
    workspace: str | None
    payload: str
    source: str | None
    verdict: str | None
    reason: str | None


async def followed_events(
    db: Reader, after: int, types: Collection[str], limit: int
) -> tuple[list[FollowedEvent], int]:
    """Return the first events of some types after the cursor, and the id up to which there are no others of them."""
    marks = ", ".join("?" * len(types))
    found = await fetch_all(
        db,
        "SELECT e.id, e.type, e.actor, j.id AS job, e.delivery, e.at, e.workspace, e.payload, d.source, d.verdict,"
        " d.reason FROM events e"
        " LEFT JOIN jobs j ON j.key = e.job LEFT JOIN deliveries d ON d.id = e.delivery"
        f" WHERE e.id > ? AND e.type IN ({marks}) ORDER BY e.id LIMIT ?",
        [after, *types, limit],
    )
    events = [FollowedEvent(*row) for row in found]
    if len(events) == limit:
        return events, events[-1].id
    return events, max(after, await newest_event(db))


async def pruned_through(db: Reader) -> int:
    """Return the id of the newest event that retention has removed, 0 if it has removed none."""
    found = await fetch_all(db, "SELECT value FROM meta WHERE name = 'pruned_through'", [])
    return int(found[0]["value"]) if found else 0


async def instance(db: Reader) -> str:
    """Return the id of this database; cursors of another one are not valid here."""
    return str((await fetch_all(db, "SELECT value FROM meta WHERE name = 'instance'", []))[0]["value"])


async def newest_event(db: Reader) -> int:
    """Return the id of the newest event ever written, 0 if there was none."""
    found = await fetch_all(db, _NEWEST, [])
    return int(found[0]["seq"]) if found else 0


def last_event(db: Db) -> int:
    """Return the id of the newest event ever written, 0 if there was none, within a transaction of the writer."""
    return (db.last_event or _read_last(db))[0]
