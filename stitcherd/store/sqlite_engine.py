"""The SQLite file, as the writer uses it: its transactions, its high-water mark, its checkpoints, and its damage.

No other connection may write or checkpoint the file: SQLite before 3.51.3 can lose commits when two do
(sqlite.org/wal.html).
"""

import contextlib
import sqlite3
import time
from pathlib import Path

from stitcherd import crash_points
from stitcherd.store.checkpoints import Checkpoints
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.high_water import HighWaterMark
from stitcherd.store.opening import connect, find_damage, last_event, open_database
from stitcherd.store.sqlite_connections import WritingConnection, is_damage, is_storage_fault, unavailable

CHECK_INTERVALS = 20  # times as long as a check of the whole file took, before it is checked again


class SqliteEngine:
    """The file at a path. Raises DamagedDatabase, NewerDatabase, sqlite3.Error where it cannot be used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark = HighWaterMark(path)
        self.db: WritingConnection = open_database(path, self._mark)
        self._checkpoints = Checkpoints(path)
        self._checkpoints.set_up(self.db)
        self.is_suspect = False  # a part of the file was found to be damaged: it is checked before the next write
        self._check_again_at, self._damage = 0.0, ""  # what the last check has found

    def prepare(self) -> None:
        """Check a file that is suspect; raise StorageUnavailable if it is damaged."""
        if self.is_suspect:
            self._check_file()

    def begin(self) -> None:
        """Begin a transaction that writes."""
        self.db.execute("BEGIN IMMEDIATE")
        self.db.last_event = None

    def commit(self) -> bool:
        """Put the transaction on disk, and raise the mark; return True: there may be new events."""
        newest = self.db.last_event  # None too if a part was undone after it had appended some
        events = last_event(self.db) if newest is None else newest[0]
        crash_points.reach("before_commit")
        self.db.execute("COMMIT")
        crash_points.reach("after_commit")
        self._mark.raise_to(events)
        return True

    def roll_back(self) -> None:
        """End the transaction, if there is one, without a trace."""
        with contextlib.suppress(sqlite3.Error):
            self.db.execute("ROLLBACK")

    def is_storage_fault(self, error: Exception) -> bool:
        """Return whether an error blames the disk or the file."""
        return is_storage_fault(error)

    def may_run_again(self, _error: Exception) -> bool:
        """Return False: there is no connection to be lost."""
        return False

    def unavailable(self, error: Exception) -> StorageUnavailable:
        """Return what the callers get; note damage for the next start, and for the next transaction."""
        if is_damage(error):
            self.is_suspect = True
            self._mark.note_damage()
        return unavailable(error)

    def reopen(self) -> None:
        """Open the file again; what cannot be opened now is opened, and checked, before the next transaction."""
        try:
            self.db.close()
            self.db = connect(self._path)
            self._checkpoints.set_up(self.db)
        except sqlite3.Error:
            self.is_suspect = True

    def after_batch(self, functions: int) -> None:
        """Copy the log into the database if it is time."""
        self._checkpoints.note(self.db, functions)

    def close(self) -> None:
        """Checkpoint the log and close the file."""
        with contextlib.suppress(sqlite3.Error):
            self.db.executescript("PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE)")
        self.db.close()
        self._mark.close()

    def _check_file(self) -> None:
        """Open the file again and check all of it; raise StorageUnavailable if it is damaged.

        An error of the disk may have looked like damage, and does so to a connection as long as it is open.
        """
        if time.monotonic() < self._check_again_at:
            raise StorageUnavailable(self._damage)
        begun = time.monotonic()
        self._mark.note_damage()
        self.db.close()
        self.db = connect(self._path)
        self._checkpoints.set_up(self.db)
        damage = find_damage(self.db)
        if damage is not None:  # what is written to the file now may be lost, or damage more
            self._damage = f"the database is damaged: {damage}; restart stitcherd: it keeps a copy, and says what to do"
            self._check_again_at = time.monotonic() + CHECK_INTERVALS * (time.monotonic() - begun)
            raise StorageUnavailable(self._damage)
        self._mark.clear_damage()
        self.is_suspect = False
