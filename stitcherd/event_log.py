"""Logs what an operator wants to see of the events: what was decided about deliveries, and what becomes of jobs."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from shared.models import Verdict
from stitcherd.store import events
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.store import Store

# What happens to sources and to the rails, and which jobs are recovered, is logged where it is noticed.
TYPES = (
    *("delivery.received", "delivery.decided"),
    *("job.created", "job.waiting", "job.approved", "job.denied", "job.started", "job.retried"),
    *("job.completed", "job.failed", "job.cancelled", "answer.failed", "account.accepted"),
)
_QUIET = {Verdict.IGNORED, Verdict.DUPLICATE, Verdict.DECIDING}  # forges send much that nobody needs
_FAILURES = {"job.failed", "answer.failed"}
BATCH = 500
COALESCE_SECONDS = 0.05  # between two reads, so that a burst of commits is one

log = logging.getLogger("stitcherd.events")


@asynccontextmanager
async def logging_events(store: Store) -> AsyncIterator[None]:
    """Log the events that are stored from now on until the context ends, the last ones too."""
    follower = _Follower(store)
    await follower.begin()
    following = asyncio.create_task(follower.run())
    try:
        yield
    finally:
        following.cancel()
        await asyncio.wait({following})
        await follower.log_new()


class _Follower:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._committed = store.commits()
        self._cursor = 0

    async def begin(self) -> None:
        """Leave out what is stored by now."""
        async with self._store.reading() as db:
            self._cursor = await events.newest_event(db)

    async def run(self) -> None:
        """Follow the store until cancelled."""
        while True:
            await self._committed.wait()
            self._committed.clear()
            await self.log_new()
            await asyncio.sleep(COALESCE_SECONDS)

    async def log_new(self) -> None:
        """Log what was stored since the last call."""
        try:
            while await self._log_batch():
                pass
        except StorageUnavailable as error:
            log.warning("the newest events cannot be read: %s", error)

    async def _log_batch(self) -> bool:
        """Log a batch of events, and return whether there may be more."""
        async with self._store.reading() as db:
            found, self._cursor = await events.followed_events(db, self._cursor, TYPES, BATCH)
        for event in found:
            fields = event_fields(event)
            if fields.get("verdict") not in _QUIET and not _is_told(event):
                level = logging.WARNING if event.type in _FAILURES else logging.INFO
                log.log(level, event.type, extra={"fields": fields})
        return len(found) == BATCH


def event_fields(event: events.FollowedEvent) -> dict[str, Any]:
    """Return what the log has of an event: the id of its job, who caused it, and the single values of its payload."""
    fields: dict[str, Any] = {} if event.job is None else {"jobId": event.job}
    fields["actor"] = event.actor
    payload: dict[str, Any] = msgspec.json.decode(event.payload)
    fields |= {name: value for name, value in payload.items() if isinstance(value, str | int | float)}
    return fields


def _is_told(event: events.FollowedEvent) -> bool:
    """Say whether the line of a delivery tells that its job was created."""
    return event.type == "job.created" and event.actor.startswith("source:")
