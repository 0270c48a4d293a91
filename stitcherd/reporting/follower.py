"""Follows the events of the store, and stores what is to be said because of them, with its cursor.

What is to be at forges follows from the state of deliveries and jobs, and each notification has a place of its own:
whatever is read twice, or after a crash again, comes to the same.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from shared.ids import now_ms
from stitcherd.store import answers, events
from stitcherd.store.answers import DesiredAnswer
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.events import FollowedEvent
from stitcherd.store.store import Store

BATCH = 500  # events that are followed in one transaction
STORE_INTERVAL = 10_000  # events without an answer, after which the cursor is stored nevertheless
COALESCE_SECONDS = 0.05  # between two batches, so that a burst of events is one
RETRY_SECONDS = 1.0  # while nothing can be stored


class Planner(Protocol):
    """Decides what is to be said because of events of the types that it follows."""

    @property
    def followed(self) -> Collection[str]: ...  # noqa: D102 (see the class)

    async def plan(self, events: Sequence[FollowedEvent], /) -> list[DesiredAnswer]: ...  # noqa: D102


class Follower:
    """Follows the events; `on_answers` gets the names of the sources for which there is something to send."""

    def __init__(
        self, store: Store, planners: Sequence[Planner], on_answers: Callable[[Collection[str]], None]
    ) -> None:
        self._store = store
        self._planners = planners
        self._followed = frozenset(type_ for planner in planners for type_ in planner.followed)
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
            found, after = await events.followed_events(db, cursor, self._followed, BATCH)
        wanted: list[DesiredAnswer] = []
        for planner in self._planners:
            wanted += await planner.plan([event for event in found if event.type in planner.followed])
        if wanted or after - self._stored >= STORE_INTERVAL:
            changed = await self._store.write(answers.put_answers, wanted, after, now_ms())
            self._stored = after
            self._on_answers(changed)
        return after
