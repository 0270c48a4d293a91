"""The lease of this process on the jobs that it runs: taken at the start, renewed, and given back at the end.

A process that cannot renew it ends its own jobs before anybody may start them again: at two thirds of the lease, by its
own monotonic clock, which no setting of the time changes.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress

from msgspec import structs

from shared.ids import new_id, now_ms
from stitcherd.store import daemons
from stitcherd.store.daemons import CannotJoin, NewDaemon
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.store import Store

LOOK_SECONDS = 0.5  # between two looks whether the lease is to be renewed, or is lost
RENEWED_AT = 1 / 3  # of the lease
LOST_AT = 2 / 3

log = logging.getLogger(__name__)


class Lease:
    """The lease of `new`, for `seconds`; None where no other process can use the store: it has no end then.

    `owner` is the id under which this process owns jobs; after a lease was lost it is another one.
    """

    def __init__(self, store: Store, new: NewDaemon, seconds: float | None) -> None:
        self.is_held = False
        self.seconds = seconds
        self._store = store
        self._new = new
        self._renewed_at = 0.0
        self._executors: Collection[str] | None = None

    @property
    def owner(self) -> str:
        """The id under which this process owns jobs."""
        return self._new.id

    @property
    def milliseconds(self) -> int:
        """How long it is, 0 if it has no end."""
        return int((self.seconds or 0) * 1000)

    @property
    def new(self) -> NewDaemon:
        """This process, as it joined."""
        return self._new

    async def join(self) -> None:
        """Take the lease; wait for the end of that of another process that has its name or state directory.

        Raises CannotJoin.
        """
        end = time.monotonic() + (self.seconds or 0) + 1
        while True:
            try:
                return await self._join()
            except CannotJoin:  # it may have been killed a moment ago, elsewhere
                if time.monotonic() > end:
                    raise
            await asyncio.sleep(LOOK_SECONDS)

    async def leave(self) -> None:
        """Give the lease back, so that others recover at once what is left."""
        with suppress(StorageUnavailable):
            await self._store.write(daemons.leave, self.owner, now_ms(), told=self.seconds is not None)

    async def keep(
        self,
        executors: Callable[[], Collection[str] | None],
        end_jobs: Callable[[], Awaitable[None]],
        on_join: Callable[[str], None],
    ) -> None:
        """Renew the lease, for ever; a lease that is lost is taken again, under a new id that `on_join` gets.

        `executors` returns those that can be reached, None while that is not known. `end_jobs` ends all jobs of this
        process, and stores nothing.
        """
        seconds = self.seconds or 0.0
        renewing: asyncio.Task[None] | None = None
        try:
            while True:
                age = time.monotonic() - self._renewed_at
                if self.is_held and age > seconds * LOST_AT:
                    self.is_held = False
                    log.error("the lease could not be renewed for %.1f s: the jobs that run here are ended", age)
                if not self.is_held:
                    await end_jobs()
                found = executors()
                is_due = not self.is_held or age > seconds * RENEWED_AT or found != self._executors
                if is_due and (renewing is None or renewing.done()):
                    renewing = asyncio.create_task(self._try_to_renew(found, on_join))
                await asyncio.sleep(min(LOOK_SECONDS, seconds / 12))
        finally:
            if renewing is not None:
                renewing.cancel()

    async def _join(self) -> None:
        started = time.monotonic()
        await self._store.write(daemons.join, self._new, self.milliseconds if self.seconds else None, now_ms())
        self._renewed_at, self.is_held, self._executors = started, True, None

    async def _try_to_renew(self, executors: Collection[str] | None, on_join: Callable[[str], None]) -> None:
        try:
            await self._renew(executors, on_join)
        except Exception:  # `keep` goes on: if the lease is lost by this, it has to end the jobs
            log.exception("the lease cannot be renewed, through a bug in Stitcher; trying again")

    async def _renew(self, executors: Collection[str] | None, on_join: Callable[[str], None]) -> None:
        """Renew the lease, or take it again where it is lost; where nothing can be stored, do neither."""
        with suppress(StorageUnavailable, CannotJoin):
            if not self.is_held:
                self._new = structs.replace(self._new, id=new_id())
                on_join(self.owner)
                await self._join()
                log.warning("the lease is taken again, as %s", self.owner)
                return
            started = time.monotonic()
            renewed = await self._store.write(daemons.beat, self.owner, self.milliseconds, executors)
            if renewed and self.is_held:
                self._renewed_at, self._executors = started, executors
            elif not renewed and self.is_held:
                self.is_held = False
                log.error("others gave this process up for gone: the jobs that run here are ended")
