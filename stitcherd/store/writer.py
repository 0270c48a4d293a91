"""The writer: one thread with the only connection that writes and checkpoints, and group commit.

Callers submit a function of the connection. All functions that are waiting share a transaction, and their futures are
resolved once the commit is on disk. A function of many items is called once for all items that wait for it one after
the other. Where a function fails, the whole batch runs again, each function under its own savepoint and with one item,
so that nothing of the failed one is written: failures are rare, and savepoints for every function would cost as much as
a write. No other connection may write or checkpoint this file: SQLite before 3.51.3 can lose commits when two do
(sqlite.org/wal.html).
"""

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from msgspec import Struct

from shared.ids import format_timestamp, new_id, now_ms
from stitcherd import crash_points
from stitcherd.metrics import BATCH_SIZE, COMMIT_DURATION
from stitcherd.store.after_commit import forget_calls, make_calls
from stitcherd.store.checkpoints import Checkpoints
from stitcherd.store.db import Db
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.high_water import HighWaterMark
from stitcherd.store.opening import connect, find_damage, last_event, open_database
from stitcherd.store.sqlite_connections import is_damage, is_storage_fault, unavailable

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

BATCH = 256  # functions in one transaction, at most
PROBE_SECONDS = 1.0  # between two writes during an outage, so that its end is noticed
CHECK_INTERVALS = 20  # times as long as a check of the whole file took, before it is checked again
OUTAGE_LOG_SECONDS = 60.0  # between two lines of the log about the same outage

log = logging.getLogger(__name__)


class StorageOutage(Struct, frozen=True):
    """The last write failed: why, and since when (ms) each has."""

    reason: str
    since: int


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
    """Owns the writing connection of the file at `path`; `on_commit` is called on the loop after a commit.

    `outage` is set from a write that failed to the next one that was stored.
    """

    def __init__(self, path: Path, on_commit: Callable[[], None]) -> None:
        self._path = path
        self._checkpoints = Checkpoints(path)
        self._on_commit = on_commit
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_PendingWrite | None] = queue.SimpleQueue()
        self._mark = HighWaterMark(path)
        self._db = open_database(path, self._mark)
        self._checkpoints.set_up(self._db)
        self._is_suspect = False  # a part of the file was found to be damaged: it is checked before the next write
        self._check_again_at, self._damage = 0.0, ""  # what the last check has found
        self.outage: StorageOutage | None = None
        self._logged_at = 0.0
        self._closed = False
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

    def report_damage(self) -> None:
        """Check the file now, because a reader has found a part of it to be damaged."""
        self._is_suspect = True
        self._queue.put(_PendingWrite(_probe, None, None))

    async def close(self) -> None:
        """Finish what was submitted, checkpoint the log and close the database."""
        self._closed = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        open_ = True
        while open_:
            batch: list[_PendingWrite] = []
            try:
                open_ = self._fill(batch)
                if batch:
                    self._commit(batch)
            except BaseException as error:  # noqa: BLE001 (if this thread ended, every caller would wait for ever)
                self._abandon(batch, error)
            if batch:
                self._loop.call_soon_threadsafe(self._resolve, batch)
                with _logging_bugs():
                    self._checkpoints.note(self._db, len(batch))
        with contextlib.suppress(sqlite3.Error):
            self._db.executescript("PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.close()
        self._mark.close()

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
            if self._is_suspect:
                self._check_file()
            if not self._all_at_once(batch):
                self._begin()
                for work in batch:
                    self._apply(work)
                self._end_transaction()
            with _logging_bugs():  # what is stored is not refused any more
                COMMIT_DURATION.observe(time.perf_counter() - started)
                BATCH_SIZE.observe(len(batch))
                make_calls()
            self._note_success()
        except Exception as error:  # noqa: BLE001 (whatever it was, every waiting caller must get it)
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            if is_damage(error):
                self._is_suspect = True
                self._mark.note_damage()
            self._refuse(batch, unavailable(error), error)

    def _abandon(self, batch: list[_PendingWrite], error: BaseException) -> None:
        """Refuse a batch that failed through a bug of ours, and begin the next one on a new connection."""
        log.error("the writer of the store failed through a bug, and goes on (%s)", new_id(), exc_info=error)
        try:
            self._db.close()
            self._db = connect(self._path)
            self._checkpoints.set_up(self._db)
        except sqlite3.Error:
            self._is_suspect = True  # it is opened again, and checked, before the next write
        self._refuse(batch, StorageUnavailable(f"the writer failed through a bug: {error!r}"), error)

    def _refuse(self, batch: list[_PendingWrite], fault: StorageUnavailable, cause: BaseException) -> None:
        self._note_failure(str(fault))
        for work in batch:
            work.error = StorageUnavailable(str(fault), lacks_space=fault.lacks_space)
            work.error.__cause__ = cause

    def _check_file(self) -> None:
        """Open the file again and check all of it; raise StorageUnavailable if it is damaged.

        An error of the disk may have looked like damage, and does so to a connection as long as it is open.
        """
        if time.monotonic() < self._check_again_at:
            raise StorageUnavailable(self._damage)
        begun = time.monotonic()
        self._mark.note_damage()
        self._db.close()
        self._db = connect(self._path)
        self._checkpoints.set_up(self._db)
        damage = find_damage(self._db)
        if damage is not None:  # what is written to the file now may be lost, or damage more
            self._damage = f"the database is damaged: {damage}; restart stitcherd: it keeps a copy, and says what to do"
            self._check_again_at = time.monotonic() + CHECK_INTERVALS * (time.monotonic() - begun)
            raise StorageUnavailable(self._damage)
        self._mark.clear_damage()
        self._is_suspect = False

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

    def _all_at_once(self, batch: list[_PendingWrite]) -> bool:
        self._begin()
        try:
            for function, group in groupby(batch, attrgetter("function")):
                works = list(group)
                results = function(self._db, [work.item for work in works])
                for work, result in zip(works, results, strict=True):
                    work.result = result
        except Exception as error:
            if is_storage_fault(error):
                raise
            self._db.execute("ROLLBACK")
            return False
        self._end_transaction()
        return True

    def _begin(self) -> None:
        forget_calls()
        self._db.execute("BEGIN IMMEDIATE")
        self._db.last_event = None

    def _end_transaction(self) -> None:
        newest = self._db.last_event  # None too if a part was undone after it had appended some
        events = last_event(self._db) if newest is None else newest[0]
        crash_points.reach("before_commit")
        self._db.execute("COMMIT")
        crash_points.reach("after_commit")
        self._mark.raise_to(events)

    def _apply(self, work: _PendingWrite) -> None:
        try:
            with self._db.savepoint():
                [work.result] = work.function(self._db, [work.item])
        except Exception as error:
            if is_storage_fault(error):
                raise
            work.error = error

    def _resolve(self, batch: list[_PendingWrite]) -> None:
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
    _write_version(db)
    return items


def _write_version(db: Db) -> None:
    """Write a page without changing anything; a transaction that writes none would succeed on a full disk."""
    [version] = db.execute("PRAGMA user_version").fetchone()
    db.execute(f"PRAGMA user_version = {version}")
