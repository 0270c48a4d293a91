"""A buffer of the newest events, read and encoded once for all subscribers.

A subscriber that falls behind the buffer reads the store itself, at its own pace, and costs the others nothing.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol
from weakref import WeakSet

import msgspec
from msgspec import Struct

from shared.models import JobEvent
from stitcherd.store import events
from stitcherd.store.store import Store

BUFFER_BYTES = 4 * 2**20  # encoded events: some seconds of them, so that a short stall does not cost disk reads
EVENT_BATCH = 500  # events in one read
COALESCE_SECONDS = 0.005  # between reads, so that a burst of commits is one batch

_encoder = msgspec.json.Encoder()


class EventFrame(Struct, frozen=True):
    """An event encoded for the stream, with its job and workspace (None: visible in all of them)."""

    id: int
    workspace: str | None
    job_id: str | None
    data: bytes


def encode_event(event: JobEvent, workspace: str | None) -> EventFrame:
    """Encode an event as a Server-Sent Event."""
    data = b"id: %d\nevent: %s\ndata: %s\n\n" % (event.id, event.type.encode(), _encoder.encode(event))
    return EventFrame(event.id, workspace, event.job_id, data)


class StreamPosition(Protocol):
    """How far one subscriber has read."""

    cursor: int


class EventFeed:
    """The newest events, and the subscribers notified after each commit; `head` is the id of the newest one read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._buffer: deque[EventFrame] = deque()
        self._bytes = 0
        self._complete_after = 0  # all events with higher ids, up to the head, are in the buffer
        self._subscribers: set[asyncio.Event] = set()
        self._positions: WeakSet[StreamPosition] = WeakSet()  # of streams that are open
        self._reading = asyncio.Lock()
        self.head = 0
        self.closed = False

    async def run(self) -> None:
        """Follow the store until cancelled."""
        committed = self._store.commits()
        while True:
            await committed.wait()
            committed.clear()
            if self._subscribers:
                async with self._reading:
                    await self._pull()
            await asyncio.sleep(COALESCE_SECONDS)

    @contextmanager
    def subscribe(self) -> Iterator[asyncio.Event]:
        """Yield an event that is set whenever the head moves; one per subscriber."""
        moved = asyncio.Event()
        self._subscribers.add(moved)
        try:
            yield moved
        finally:
            self._subscribers.discard(moved)

    def watch(self, position: StreamPosition) -> None:
        """Let the lag of a stream be known, for as long as its position exists."""
        self._positions.add(position)

    def lags(self) -> list[int]:
        """Return how many events each stream is behind the head; those that it may not see count too."""
        return [max(0, self.head - position.cursor) for position in self._positions]

    async def catch_up(self) -> int:
        """Move the head to the newest event and return it; without subscribers the feed does not read."""
        async with self._reading:
            async with self._store.reading() as db:
                newest = await events.newest_event(db)
            if newest - self.head > EVENT_BATCH:
                self._buffer.clear()
                self._bytes = 0
                self.head = self._complete_after = newest
            await self._pull()
        return self.head

    def since(self, cursor: int) -> list[EventFrame] | None:
        """Return the events after the cursor, or None if some of them are no longer buffered."""
        if cursor < self._complete_after:
            return None
        if cursor >= self.head:
            return []
        newer = []
        for frame in reversed(self._buffer):
            if frame.id <= cursor:
                break
            newer.append(frame)
        return newer[::-1]

    def close(self) -> None:
        """End every stream."""
        self.closed = True
        self._notify()

    def _notify(self) -> None:
        for moved in self._subscribers:
            moved.set()

    def _append(self, frame: EventFrame) -> None:
        self._buffer.append(frame)
        self._bytes += len(frame.data)
        self.head = frame.id
        while self._bytes > BUFFER_BYTES:
            oldest = self._buffer.popleft()
            self._bytes -= len(oldest.data)
            self._complete_after = oldest.id

    async def _pull(self) -> None:
        while True:
            async with self._store.reading() as db:
                batch = await events.events_after(db, self.head, EVENT_BATCH)
            for event, workspace in batch:
                self._append(encode_event(event, workspace))
            if batch:
                self._notify()
            if len(batch) < EVENT_BATCH:
                return
