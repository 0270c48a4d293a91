"""The writer: one thread with the only connection that writes, and group commit, whatever database it is to.

Callers submit a function of the connection. All functions that are waiting share a transaction, and their futures are
resolved once the commit is on disk. A function of many items is called once for all items that wait for it one after
the other. Where a function fails, the whole batch runs again, each function under its own savepoint and with one item,
so that nothing of the failed one is written: failures are rare, and savepoints for every function would cost as much as
a write.
"""

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from msgspec import Struct

from shared.ids import format_timestamp, new_id, now_ms
from stitcherd.metrics import BATCH_SIZE, COMMIT_DURATION
from stitcherd.store.after_commit import forget_calls, make_calls
from stitcherd.store.db import Db
from stitcherd.store.errors import StorageUnavailable

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

BATCH = 256  # functions in one transaction, at most
PROBE_SECONDS = 1.0  # between two writes during an outage, so that its end is noticed
OUTAGE_LOG_SECONDS = 60.0  # between two lines of the log about the same outage

log = logging.getLogger(__name__)


class StorageOutage(Struct, frozen=True):
    """The last write failed: why, and since when (ms) each has."""

    reason: str
    since: int


class Engine(Protocol):
    """A database, as the writer's thread uses it."""

    @property
    def db(self) -> Db:
        """The connection, which may be another one after `prepare`."""
        ...

    def prepare(self) -> None:
        """Make the connection ready for a transaction."""
        ...

    def begin(self) -> None:
        """Begin a transaction; no other writer has one until its end."""
        ...

    def commit(self) -> bool:
        """Put the transaction on disk; return whether it may have added events."""
        ...

    def roll_back(self) -> None:
        """End the transaction, if there is one, without a trace; raise nothing."""
        ...

    def is_storage_fault(self, error: Exception) -> bool:
        """Return whether an error concerns the storage, and not the one statement that raised it."""
        ...

    def may_run_again(self, error: Exception) -> bool:
        """Return whether the connection was lost, and with it, for certain, all of the transaction."""
        ...

    def unavailable(self, error: Exception) -> StorageUnavailable:
        """Return what the callers get whose writes were not stored because of an error."""
        ...

    def reopen(self) -> None:
        """Leave the connection, whatever state it is in, and let the next transaction have another."""
        ...

    def after_batch(self, functions: int) -> None:
        """Do what is due between two transactions, after so many functions."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class _PendingWrite:
    """A function of many items with one of them, and the future of its result if anybody waits for it."""

    __slots__ = ("error", "function", "future", "item", "result")

    def __init__(
        self,
        function: Callable[[Db, Sequence[Any]], Sequence[Any]],
        item: Any,
        future: asyncio.Future[Any] | None,
    ) -> None:
        self.function = function
        self.item = item
        self.future = future
        self.result: Any = None
        self.error: Exception | None = None


class Writer:
    """Owns the connection of an engine; `on_commit` is called on the loop after a commit that may have added events.

    `outage` is set from a write that failed to the next one that was stored.
    """

    def __init__(self, engine: Engine, on_commit: Callable[[], None]) -> None:
        self._engine = engine
        self._on_commit = on_commit
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_PendingWrite | None] = queue.SimpleQueue()
        self.outage: StorageOutage | None = None
        self._logged_at = 0.0
        self._closed = False
        self._may_have_events = False  # whether the last batch has added some
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, function: Callable[Concatenate[Db, P], R], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[R]:
        """Run the function in the next transaction and return a future of its result, once that is durable.

        The future fails with the function's own exception (then nothing of it is written) or with StorageUnavailable.
        Cancelling the caller does not undo the write.
        """
        return self.submit_item(lambda db, _: [function(db, *args, **kwargs)], None)

    def submit_item(self, function: Callable[[Db, Sequence[T]], Sequence[R]], item: T) -> asyncio.Future[R]:
        """Run the function for the item, and for others that wait for it just before and after, in one call.

        The function returns a result for each item, as it would for one alone. The future is as that of `submit`.
        """
        future: asyncio.Future[R] = self._loop.create_future()
        if self._closed:
            future.set_exception(StorageUnavailable("the store is closed"))
            return future
        self._queue.put(_PendingWrite(function, item, future))
        return future

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def probe(self) -> None:
        """Write something soon, though nobody waits for it: a fault that a reader has found is then known."""
        self._queue.put(_PendingWrite(_probe, None, None))

    async def close(self) -> None:
        """Finish what was submitted and close the connection."""
        self._closed = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        open_ = True
        while open_:
            batch: list[_PendingWrite] = []
            self._may_have_events = False
            try:
                open_ = self._fill(batch)
                if batch:
                    self._commit(batch)
            except BaseException as error:  # noqa: BLE001 (if this thread ended, every caller would wait for ever)
                self._abandon(batch, error)
            if batch:
                self._loop.call_soon_threadsafe(self._resolve, batch, self._may_have_events)
                with _logging_bugs():
                    self._engine.after_batch(len(batch))
        self._engine.close()

    def _fill(self, batch: list[_PendingWrite]) -> bool:
        """Wait for work and add what is there to a batch; return False once the writer is closed."""
        try:
            work = self._queue.get(timeout=PROBE_SECONDS if self.outage else None)
        except queue.Empty:
            work = _PendingWrite(_probe, None, None)
        while work is not None:
            batch.append(work)
            if len(batch) == BATCH or self._queue.empty():
                return True
            work = self._queue.get_nowait()
        return False

    def _commit(self, batch: list[_PendingWrite]) -> None:
        started = time.perf_counter()
        try:
            try:
                self._store(batch)
            except Exception as error:
                if not self._engine.may_run_again(error):
                    raise
                for work in batch:
                    work.error = None
                self._store(batch)
            with _logging_bugs():  # what is stored is not refused any more
                COMMIT_DURATION.observe(time.perf_counter() - started)
                BATCH_SIZE.observe(len(batch))
                make_calls()
            self._note_success()
        except Exception as error:  # noqa: BLE001 (whatever it was, every waiting caller must get it)
            self._engine.roll_back()
            self._refuse(batch, self._engine.unavailable(error), error)

    def _abandon(self, batch: list[_PendingWrite], error: BaseException) -> None:
        """Refuse a batch that failed through a bug of ours, and begin the next one on a new connection."""
        log.error("the writer of the store failed through a bug, and goes on (%s)", new_id(), exc_info=error)
        self._engine.reopen()
        self._refuse(batch, StorageUnavailable(f"the writer failed through a bug: {error!r}"), error)

    def _refuse(self, batch: list[_PendingWrite], fault: StorageUnavailable, cause: BaseException) -> None:
        self._note_failure(str(fault))
        for work in batch:
            work.error = StorageUnavailable(str(fault), lacks_space=fault.lacks_space)
            work.error.__cause__ = cause

    def _note_failure(self, reason: str) -> None:
        """Begin or continue an outage, and log it, once a minute at most."""
        since = self.outage.since if self.outage else now_ms()
        if self.outage is None or time.monotonic() - self._logged_at >= OUTAGE_LOG_SECONDS:
            self._logged_at = time.monotonic()
            log.error("nothing can be stored since %s: %s", format_timestamp(since), reason)
        self.outage = StorageOutage(reason, since)

    def _note_success(self) -> None:
        if self.outage is not None:
            log.warning("storage is available again; it was not since %s", format_timestamp(self.outage.since))
            self.outage = None

    def _store(self, batch: list[_PendingWrite]) -> None:
        self._engine.prepare()
        if not self._all_at_once(batch):
            self._begin()
            for work in batch:
                self._apply(work)
            self._may_have_events = self._engine.commit()

    def _all_at_once(self, batch: list[_PendingWrite]) -> bool:
        self._begin()
        db = self._engine.db
        try:
            for function, group in groupby(batch, attrgetter("function")):
                works = list(group)
                results = function(db, [work.item for work in works])
                for work, result in zip(works, results, strict=True):
                    work.result = result
        except Exception as error:
            if self._engine.is_storage_fault(error):
                raise
            self._engine.roll_back()
            return False
        self._may_have_events = self._engine.commit()
        return True

    def _begin(self) -> None:
        forget_calls()
        self._engine.begin()

    def _apply(self, work: _PendingWrite) -> None:
        db = self._engine.db
        try:
            with db.savepoint():
                [work.result] = work.function(db, [work.item])
        except Exception as error:
            if self._engine.is_storage_fault(error):
                raise
            work.error = error

    def _resolve(self, batch: list[_PendingWrite], may_have_events: bool) -> None:  # noqa: FBT001
        if may_have_events:
            self._on_commit()
        for work in batch:
            if work.future is None or work.future.done():  # its caller was cancelled
                continue
            if work.error is None:
                work.future.set_result(work.result)
            else:
                work.future.set_exception(work.error)


@contextlib.contextmanager
def _logging_bugs() -> Iterator[None]:
    """Log what fails, which nobody waits for."""
    try:
        yield
    except Exception:
        log.exception("what follows a commit failed through a bug (%s)", new_id())


def _probe(db: Db, items: Sequence[None]) -> Sequence[None]:
    db.touch()
    return items
