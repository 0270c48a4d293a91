"""Follows the events of the store, and stores what is to be at the forges because of them, with its cursor.

What is stored follows from the state of deliveries and jobs, not from the events: whatever is read twice, or after a
crash again, comes to the same.
"""

import asyncio
from collections.abc import Callable, Collection

from shared.ids import now_ms
from stitcherd.reporting.planner import FOLLOWED, AnswerPlanner
from stitcherd.store import answers
from stitcherd.store.sqlite import Store
from stitcherd.store.writer import StorageUnavailable

BATCH = 500  # events that are followed in one transaction
STORE_INTERVAL = 10_000  # events without an answer, after which the cursor is stored nevertheless
COALESCE_SECONDS = 0.05  # between two batches, so that a burst of events is one
RETRY_SECONDS = 1.0  # while nothing can be stored


class Follower:
    """Follows the events; `on_answers` gets the names of the sources for which there is something to send."""

    def __init__(self, store: Store, planner: AnswerPlanner, on_answers: Callable[[Collection[str]], None]) -> None:
        self._store = store
        self._planner = planner
        self._on_answers = on_answers
        self._stored = 0

    async def run(self) -> None:
        """Follow the events from where an earlier daemon stopped, until cancelled; the first time from now."""
        committed = self._store.commits()
        cursor: int | None = None
        while True:
            committed.clear()
            try:
                if cursor is None:
                    cursor = await self.begin()
                after = await self.follow(cursor)
            except StorageUnavailable:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if after == cursor:
                await committed.wait()
            await asyncio.sleep(COALESCE_SECONDS)
            cursor = after

    async def begin(self) -> int:
        """Return the cursor of an earlier daemon, or that of now."""
        self._stored = await self._store.write(answers.begin_reporting)
        return self._stored

    async def follow(self, cursor: int) -> int:
        """Store the answers that follow from the next events after the cursor; return the cursor after them."""
        async with self._store.reading() as db:
            events, after = await answers.followed_events(db, cursor, FOLLOWED, BATCH)
        wanted = await self._planner.plan(events)
        if wanted or after - self._stored >= STORE_INTERVAL:
            changed = await self._store.write(answers.put_answers, wanted, after, now_ms())
            self._stored = after
            self._on_answers(changed)
        return after
