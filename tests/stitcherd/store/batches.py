"""Writes that share a transaction."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from stitcherd.store.db import Db
from stitcherd.store.store import Store


@asynccontextmanager
async def busy(store: Store) -> AsyncIterator[None]:
    """While the writer is busy with something else, what is handed in meets in its next batch."""
    loop, began, go = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def hold(_: Db) -> None:
        loop.call_soon_threadsafe(began.set)
        assert go.wait(20)

    holding = asyncio.ensure_future(store.write(hold))
    await began.wait()
    try:
        yield
        await asyncio.sleep(0)  # the writes of tasks that were made just now are handed in
    finally:
        go.set()
    await holding


async def in_one_batch(store: Store, *writes: Awaitable[Any]) -> list[Any]:
    """Hand writes in, in this order, so that they share a batch; return their results and exceptions."""
    async with busy(store):
        tasks = [asyncio.ensure_future(write) for write in writes]
    return await asyncio.gather(*tasks, return_exceptions=True)


def trace(db: Db, report: Callable[[str], object] | None) -> None:
    """Report each statement of the writer from now on; a function for `Store.write`."""
    assert isinstance(db, sqlite3.Connection)
    db.set_trace_callback(report)
