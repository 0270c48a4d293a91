"""Writes of one job's run, of which those that nobody waits for share the transaction of the next one.

A step ends just before the next one begins, or before the job is concluded: in one transaction, each of these costs one
commit instead of two.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

from stitcherd.store.db import Db
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.store import Store

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger(__name__)


class DeferredWrites:
    """The writes of one run, in the order in which they were requested.

    A deferred write goes with the next one that is requested in the same iteration of the event loop, else by itself.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._deferred: list[Callable[[Db], object]] = []
        self._wakeup: asyncio.Handle | None = None
        self._flushing: asyncio.Task[None] | None = None

    def defer(self, function: Callable[Concatenate[Db, P], object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Request a write without waiting for it; while storage is unavailable it stays deferred.

        The function must raise nothing of its own: nobody would get it.
        """
        self._deferred.append(partial(_call, function, args, kwargs))
        self._schedule()

    async def write(self, function: Callable[Concatenate[Db, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a function in a transaction with what was deferred before, as `Store.write` does.

        Where it raises something of its own, what was deferred is stored all the same.
        """
        before = self._take()
        try:
            return await self._store.write(_apply_in_order, before, partial(_call, function, args, kwargs))
        except StorageUnavailable:
            self._deferred[:0] = before
            raise
        except Exception:
            self._deferred[:0] = before
            self._schedule()
            raise

    def _schedule(self) -> None:
        if self._deferred and self._wakeup is None:
            self._wakeup = asyncio.get_running_loop().call_soon(self._flush)

    def _take(self) -> list[Callable[[Db], object]]:
        if self._wakeup is not None:
            self._wakeup.cancel()
            self._wakeup = None
        deferred, self._deferred = self._deferred, []
        return deferred

    def _flush(self) -> None:
        self._wakeup = None
        if self._deferred:
            self._flushing = asyncio.create_task(self._store_deferred())

    async def _store_deferred(self) -> None:
        deferred = self._take()
        try:
            await self._store.write(_apply_in_order, deferred, _nothing)
        except StorageUnavailable:  # the next write of the run brings it along, and tells
            self._deferred[:0] = deferred
        except Exception:
            log.exception("a deferred write failed")


def _call(function: Callable[..., R], args: Sequence[object], kwargs: Mapping[str, object], db: Db) -> R:
    return function(db, *args, **kwargs)


def _apply_in_order(
    db: Db,
    before: Sequence[Callable[[Db], object]],
    last: Callable[[Db], R],
) -> R:
    for each in before:
        each(db)
    return last(db)


def _nothing(_db: Db) -> None:
    pass
