"""When the write-ahead log is copied into the database: the writer does it, in the gaps between two batches."""

import contextlib
import sqlite3
from pathlib import Path

WAL_CHECKPOINT_PAGES = 512  # of write-ahead log before a checkpoint, during which commits wait
# The log is overwritten from its beginning after a checkpoint: to extend a file costs more than to overwrite it.
WAL_SIZE_LIMIT = 4 * 2**20
CHECKPOINT_AFTER = 256  # functions, before it is known how many pages they write


class Checkpoints:
    """Copies the log of a database into it when it holds about WAL_CHECKPOINT_PAGES.

    How much it holds cannot be seen from its size; how many pages a function writes is known from the last time.
    """

    def __init__(self, database: Path) -> None:
        self._wal = database.with_name(database.name + "-wal")
        self._logged = 0  # functions since the log was empty
        self._checkpoint_at = CHECKPOINT_AFTER
        self._size_limit = WAL_SIZE_LIMIT

    def set_up(self, db: sqlite3.Connection) -> None:
        """Let a connection keep the space of the log, up to WAL_SIZE_LIMIT."""
        db.execute(f"PRAGMA journal_size_limit={WAL_SIZE_LIMIT}")

    def note(self, db: sqlite3.Connection, functions: int) -> None:
        """Count functions that were committed, and copy the log if it is time.

        To be called after their results were delivered, and not after each commit: pages written many times are copied
        once.
        """
        self._logged += functions
        with contextlib.suppress(OSError, sqlite3.Error):
            size = self._wal.stat().st_size
            if self._logged < self._checkpoint_at and size <= self._size_limit:
                return
            _, pages, copied = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            interval = max(1, self._logged * WAL_CHECKPOINT_PAGES // max(pages, 1))
            self._size_limit = WAL_SIZE_LIMIT
            if pages == copied:
                self._logged = 0
            else:  # a reader keeps part of the log in use; the next attempt is when it has grown again
                self._size_limit += size
            self._checkpoint_at = self._logged + interval
