"""The head of the event stream: what was just committed is read and encoded once, for everybody who listens.

Whoever is behind the head reads for itself, at its own pace: a slow listener costs nobody but itself.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from msgspec import Struct

from shared.models import JobEvent
from stitcherd.store import events
from stitcherd.store.sqlite import Store

BUFFER_BYTES = (
    4 * 2**20
)  # of encoded events at the head: seconds of them, so that a slow moment sends nobody to the disk
EVENT_BATCH = 500  # events in one read
COALESCE_SECONDS = 0.005  # after a read, so that a burst of commits is one batch

_encoder = msgspec.json.Encoder()


class EventFrame(Struct, frozen=True):
    """An event as it is sent, and what decides who may see it: its workspace (None is for all) and its job."""

    id: int
    workspace: str | None
    job_id: str | None
    data: bytes


def encode_event(event: JobEvent, workspace: str | None) -> EventFrame:
    """Encode an event for the stream."""
    data = b"id: %d\nevent: %s\ndata: %s\n\n" % (event.id, event.type.encode(), _encoder.encode(event))
    return EventFrame(event.id, workspace, event.job_id, data)


class EventFeed:
    """Wakes its listeners after each commit; `head` is the newest event that it has read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: deque[EventFrame] = deque()
        self._bytes = 0
        self._complete_after = 0  # everything behind this id, up to the head, is kept
        self._ears: set[asyncio.Event] = set()
        self._reading_head = asyncio.Lock()
        self.head = 0
        self.closed = False

    async def run(self) -> None:
        """Follow the store for ever."""
        while True:
            await self._store.committed.wait()
            self._store.committed.clear()
            if self._ears:
                async with self._reading_head:
                    await self._pull()
            await asyncio.sleep(COALESCE_SECONDS)

    @contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """Lend an ear: an event of its own for each listener, set whenever the head has moved."""
        ear = asyncio.Event()
        self._ears.add(ear)
        try:
            yield ear
        finally:
            self._ears.discard(ear)

    async def catch_up(self) -> int:
        """Move the head to the newest event and return it: while nobody listened, nobody read."""
        async with self._reading_head:
            async with self._store.reading() as db:
                newest = await events.newest_event(db)
            if newest - self.head > EVENT_BATCH:
                self._kept.clear()
                self._bytes = 0
                self.head = self._complete_after = newest
            await self._pull()
        return self.head

    def since(self, cursor: int) -> list[EventFrame] | None:
        """Return the events behind the cursor, or None where some of them are no longer kept here."""
        if cursor < self._complete_after:
            return None
        if cursor >= self.head:
            return []
        newer = []
        for kept in reversed(self._kept):
            if kept.id <= cursor:
                break
            newer.append(kept)
        return newer[::-1]

    def close(self) -> None:
        """End every stream."""
        self.closed = True
        for ear in self._ears:
            ear.set()

    def _keep(self, newest: EventFrame) -> None:
        self._kept.append(newest)
        self._bytes += len(newest.data)
        self.head = newest.id
        while self._bytes > BUFFER_BYTES:
            oldest = self._kept.popleft()
            self._bytes -= len(oldest.data)
            self._complete_after = oldest.id

    async def _pull(self) -> None:
        while True:
            async with self._store.reading() as db:
                found = await events.events_after(db, self.head, EVENT_BATCH)
            for event, workspace in found:
                self._keep(encode_event(event, workspace))
            for ear in self._ears:
                ear.set()
            if len(found) < EVENT_BATCH:
                return
