"""The connections to a SQLite file, and what its errors mean."""

import sqlite3
from contextlib import AbstractContextManager
from pathlib import Path

import aiosqlite

from shared.ids import now_ms
from stitcherd.store.db import savepoint
from stitcherd.store.errors import StorageUnavailable

VACUUM_PAGES = 500  # that one transaction gives back to the file system
FREE_PAGES_KEPT = 2048  # at least, for what is written next: to extend a file costs more
FREE_SHARE_KEPT = 16  # or this part of the file, if that is more
_STATEMENT_ERRORS = {  # primary result codes that blame the statement, not the disk (sqlite.org/rescode.html)
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_RANGE,
    sqlite3.SQLITE_TOOBIG,
}
_DAMAGES = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_SPACE_ERRORS = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}  # a quota or a limit of file sizes is an I/O error


class WritingConnection(sqlite3.Connection):
    """The connection of the writer."""

    last_event: tuple[int, bytes] | None = None

    def savepoint(self) -> AbstractContextManager[None]:
        """Undo what is written within it if that raises something; raise Conflict in place of the database's error."""
        return savepoint(self, sqlite3.IntegrityError, is_storage_fault)

    def new_keys(self, table: str, count: int) -> range:
        """Return the integer keys after the highest that a row of the table has had."""
        [first] = self.execute(
            f"SELECT max((SELECT coalesce(max(key), 0) FROM {table}),"
            " (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?)) + 1",
            (table,),
        ).fetchone()
        return range(first, first + count)

    def touch(self) -> None:
        """Write a page without changing anything."""
        [version] = self.execute("PRAGMA user_version").fetchone()
        self.execute(f"PRAGMA user_version = {version}")

    def release_space(self) -> int:
        """Give a batch of unused pages back to the file system, but for some; return how many there were.

        A database that was created by an earlier version keeps all of them, and uses them again.
        """
        [vacuum], [free], [pages] = (
            self.execute(f"PRAGMA {name}").fetchone() for name in ("auto_vacuum", "freelist_count", "page_count")
        )
        spare = free - max(FREE_PAGES_KEPT, pages // FREE_SHARE_KEPT)
        if vacuum == 0 or spare <= 0:
            return 0
        released = min(spare, VACUUM_PAGES)
        self.execute(f"PRAGMA incremental_vacuum({released})").fetchall()  # it frees one page for each row
        return int(released)


async def open_reader(path: Path) -> aiosqlite.Connection:
    """Open a connection that cannot write; raises sqlite3.Error."""
    reader = await aiosqlite.connect(path, isolation_level=None)
    reader.row_factory = sqlite3.Row
    try:
        await reader.create_function("database_ms", 0, now_ms)
        await reader.execute("PRAGMA query_only=ON")
        await reader.execute("PRAGMA wal_autocheckpoint=0")
    except BaseException:
        await reader.close()
        raise
    return reader


def is_damage(error: BaseException) -> bool:
    """Return whether an error of SQLite says that the file is damaged."""
    return _code(error) in _DAMAGES


def is_storage_fault(error: BaseException) -> bool:
    """Return whether an error is one of SQLite that blames the disk or the file, not the statement."""
    code = _code(error)
    return isinstance(error, sqlite3.DatabaseError) and code is not None and code not in _STATEMENT_ERRORS


def unavailable(error: Exception) -> StorageUnavailable:
    """Return what to raise in place of an error of SQLite."""
    return StorageUnavailable(str(error), lacks_space=_code(error) in _SPACE_ERRORS)


def _code(error: BaseException) -> int | None:
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
