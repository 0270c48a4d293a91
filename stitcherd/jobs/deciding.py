"""Decides the deliveries that wait for a forge to tell a permission: each once, also those of an earlier daemon."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from shared.ids import now_ms, short_id
from shared.models import Thread
from stitcherd.config.settings import Settings
from stitcherd.jobs.permissions import ACCESS_EVENTS, Permissions
from stitcherd.policy import AccountAccess
from stitcherd.store.deliveries import AlreadyDecided
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.evaluated import UndecidedDelivery, find_undecided, undecided_deliveries
from stitcherd.store.store import Store

STORE_RETRY_SECONDS = 1.0  # while nothing can be stored

log = logging.getLogger(__name__)

Decide = Callable[[UndecidedDelivery, Mapping[str, AccountAccess]], Awaitable[Mapping[str, str]]]
ThreadKey = tuple[str, str, str, int]


class Deciding:
    """Decides stored deliveries. Those on one thread are decided in the order in which they were received.

    A delivery waits for its forge as long as `patience` of its source says; `now` is in milliseconds.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        permissions: Permissions,
        now: Callable[[], int] = now_ms,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._permissions = permissions
        self._settings = settings
        self._now = now
        self._sleep = sleep
        self._tasks: set[asyncio.Task[None]] = set()
        self._newest: dict[ThreadKey, asyncio.Task[None]] = {}
        self._pending: set[str] = set()  # the ids of the deliveries that tasks are about
        self._decide: Decide | None = None

    @asynccontextmanager
    async def running(self, decide: Decide) -> AsyncIterator[None]:
        """Decide the deliveries that an earlier daemon has left, and those that are put until the end of the context.

        `decide` stores the decision on a delivery, given the accounts of which the forge told nothing, or returns the
        accounts that must be asked first.
        """
        self._decide = decide
        await self.take_up()
        try:
            yield
        finally:
            await self._stop()

    async def take_up(self) -> None:
        """Decide what other daemons have left as well; what is still decided there is decided once all the same."""
        async with self._store.reading(one_statement=True) as db:
            left = await undecided_deliveries(db)
        for delivery in left:
            if delivery.id not in self._pending:
                self.put(delivery.id, delivery.workspace_id, delivery.repository, delivery.thread)

    async def note_event(self, source: str, event: str, repository: str | None) -> None:
        """Forget what is known of permissions if an event of a source may have changed them."""
        if event in ACCESS_EVENTS:
            await self._permissions.known.forget(source, repository)

    async def _stop(self) -> None:
        self._decide = None
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def put(self, delivery_id: str, workspace: str, repository: str | None, thread: Thread | None) -> None:
        """Decide a delivery that was stored; outside of the context, the next daemon does."""
        if self._decide is None:
            return
        key = (workspace, (repository or "").lower(), thread.kind, thread.number) if thread else None
        earlier = self._newest.get(key) if key else None
        task = asyncio.create_task(self._run(self._decide, delivery_id, earlier))
        self._tasks.add(task)
        self._pending.add(delivery_id)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: self._pending.discard(delivery_id))
        if key is not None:
            self._newest[key] = task
            task.add_done_callback(lambda done: self._newest.pop(key) if self._newest.get(key) is done else None)

    async def _run(self, decide: Decide, delivery_id: str, earlier: asyncio.Task[None] | None) -> None:
        if earlier is not None:
            await asyncio.wait([earlier])
        refused: dict[str, AccountAccess] = {}
        while True:
            try:
                wait = await self._try(decide, delivery_id, refused)
            except StorageUnavailable:  # the store logs it
                wait = STORE_RETRY_SECONDS
            except AlreadyDecided:
                return
            except Exception:
                log.exception("delivery %s stays undecided until the next start", short_id(delivery_id))
                return
            if wait is None:
                return
            await self._sleep(wait)

    async def _try(self, decide: Decide, delivery_id: str, refused: dict[str, AccountAccess]) -> float | None:
        """Decide a delivery if all is known, else ask; return the seconds until the next try, None once it is decided.

        Add the accounts of which the forge tells nothing to `refused`.
        """
        async with self._store.reading() as db:
            found = await find_undecided(db, delivery_id)
        if found is None:
            return None
        asks = await decide(found, refused)
        delivery = found.delivery
        if not asks or delivery.repository is None:
            return None
        answers = await self._permissions.ask(delivery.source, delivery.repository, asks)
        refused |= answers.refused
        if answers.next_try is None:
            return 0.0
        patience = self._settings.sources[delivery.source].patience
        now, deadline = self._now(), found.received_at + int(patience * 1000)
        if now < deadline:
            return (min(answers.next_try.at, deadline) - now) / 1000
        refused |= answers.given_up(now)
        return 0.0
