"""The audit chain in the store: its export, and the ranges of events that retention has removed from it.

Each removal appends a checkpoint event with the digest of all ranges, so that a range is as hard to forge as an event.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

from msgspec import Raw

from shared.audit import (
    CHECKPOINT,
    EXPORT_FORMAT,
    NO_HASH,
    AuditedEvent,
    Checkpoint,
    ExportHeader,
    RemovedEvents,
    event_line,
    event_text,
    other_line,
    ranges_digest,
)
from shared.ids import format_timestamp
from stitcherd.store import rows
from stitcherd.store.db import Db, Reader, Row
from stitcherd.store.events import add_events, instance, new_event, newest_event
from stitcherd.store.queries import fetch_all

EXPORT_EVENTS = 1000  # in one read, and one chunk
_EVENTS = (
    "SELECT e.id, j.id AS job_id, e.step, e.delivery, e.workspace, e.type, e.actor, e.at, e.payload, e.hash"
    " FROM events e LEFT JOIN jobs j ON j.key = e.job ORDER BY e.id"
)
_RANGES = "SELECT first, last, before, hash FROM removed_events ORDER BY first"
_CHAINED_AFTER = "SELECT value FROM meta WHERE name = 'chained_after'"


async def export_events(db: Reader) -> AsyncIterator[bytes]:
    """Yield the lines of an export, as shared.audit describes them, in chunks; all are of the same moment."""
    found = await fetch_all(db, _CHAINED_AFTER, [])
    chained_after = int(found[0]["value"]) if found else 0
    header = ExportHeader(EXPORT_FORMAT, await instance(db), chained_after, await newest_event(db))
    yield _joined([other_line(header)])
    ranges = [_range(row) for row in await fetch_all(db, _RANGES, [])]
    async with db.execute(_EVENTS) as events:
        while page := list(await events.fetchmany(EXPORT_EVENTS)):
            before = sum(each.first < page[-1]["id"] for each in ranges)
            yield await asyncio.to_thread(_page, page, ranges[:before])
            del ranges[:before]
    if ranges:
        yield _joined(map(other_line, ranges))


def note_removed(db: Db, removed: Sequence[Row], before: int, now: int) -> None:
    """Record the ids and hashes of events from before a time (ms) that retention has removed in this transaction."""
    found = db.execute(_CHAINED_AFTER).fetchone()
    chained_after = int(found["value"]) if found else 0
    chained = sorted((row["id"], row["hash"]) for row in removed if row["id"] > chained_after)
    if not chained:
        return
    for first, (last, hash_) in _contiguous(chained):
        _add_range(db, first, last, hash_)
    ranges = [_range(row) for row in db.execute(_RANGES)]
    checkpoint = Checkpoint(len(chained), format_timestamp(before), len(ranges), ranges_digest(ranges))
    add_events(db, new_event(CHECKPOINT, actor="stitcherd", now=now, payload=rows.to_payload(checkpoint)))


def _add_range(db: Db, first: int, last: int, hash_: bytes) -> None:
    """Store a range of removed events, joined with those that it adjoins."""
    left = db.execute("DELETE FROM removed_events WHERE last = ? RETURNING *", (first - 1,)).fetchone()
    right = db.execute("DELETE FROM removed_events WHERE first = ? RETURNING *", (last + 1,)).fetchone()
    if left is not None:
        first, before = left["first"], left["before"]
    else:
        event = db.execute("SELECT hash FROM events WHERE id = ?", (first - 1,)).fetchone()
        before = event["hash"] if event and event["hash"] else NO_HASH
    if right is not None:
        last, hash_ = right["last"], right["hash"]
    db.execute("INSERT INTO removed_events VALUES (?, ?, ?, ?)", (first, last, before, hash_))


def _contiguous(events: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, tuple[int, bytes]]]:
    """Yield the first id, and the last id with its hash, of each run of ids without a gap."""
    first = last = None
    for each in events:
        if last is None or each[0] != last[0] + 1:
            if first is not None and last is not None:
                yield first, last
            first = each[0]
        last = each
    if first is not None and last is not None:
        yield first, last


def _page(events: Sequence[Row], ranges: Sequence[RemovedEvents]) -> bytes:
    lines = [(row["id"], _line(row)) for row in events]
    lines += [(each.first, other_line(each)) for each in ranges]
    return _joined(line for _, line in sorted(lines))


def _line(row: Row) -> bytes:
    number, job_id, step, delivery, workspace, type_, actor, at, payload, hash_ = row
    try:
        timestamp = format_timestamp(at)
    except (ValueError, OverflowError):  # somebody has changed it: verification tells
        timestamp = f"{at} ms"
    text = event_text(AuditedEvent(number, job_id, step, delivery, workspace, type_, actor, timestamp, Raw(payload)))
    return event_line(text, hash_)


def _range(row: Row) -> RemovedEvents:
    return RemovedEvents(row["first"], row["last"], row["before"].hex(), row["hash"].hex())


def _joined(lines: Iterable[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)
