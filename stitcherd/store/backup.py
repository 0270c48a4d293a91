"""Copies of the database in one file: made while it is in use or before a migration, and put back in its place."""

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from stitcherd.store.high_water import HighWaterMark
from stitcherd.store.migrate import NewerDatabase, migrations, version_of

_WAL_FILES = ("-wal", "-shm")  # beside a database whose last user did not end cleanly

log = logging.getLogger(__name__)


class UnusableBackup(Exception):
    """A file cannot be restored; the text says why."""


def back_up(database: Path, target: Path) -> int:
    """Write a new file with the database as it is now, and return its size in bytes.

    Others may read and write meanwhile; what they write is not in the copy. Raises FileExistsError, OSError and
    sqlite3.Error, and leaves no file then.
    """
    with closing(_connect(database, "rw")) as source:
        source.execute("PRAGMA query_only = ON")
        source.execute("PRAGMA wal_autocheckpoint = 0")
        return _copy(source, target)


def back_up_before_migration(connection: sqlite3.Connection, database: Path) -> None:
    """Copy a database that is going to be migrated to a file beside it, `NAME.before-VERSION`; a new one is not."""
    version, newest = version_of(connection), len(migrations())
    if not 0 < version < newest:
        return
    target = database.with_name(f"{database.name}.before-{newest}")
    target.unlink(missing_ok=True)  # of a migration that failed: the database has changed since
    log.warning("migrating the database from version %d to %d: copying it as it is to %s", version, newest, target)
    _copy(connection, target)


def restore(backup: Path, database: Path, suffix: str) -> Path | None:
    """Replace a database that nobody uses by a copy of a backup; return where the replaced one is, with this suffix.

    The database gets a new instance, since events that clients have seen may have the ids of others from now on. Raises
    UnusableBackup and OSError, and changes nothing then.
    """
    restored = database.with_name(f"{database.name}.restored")
    restored.unlink(missing_ok=True)
    try:
        with _usable(backup) as source:
            _copy(source, restored)
        with closing(sqlite3.connect(restored, isolation_level=None)) as copy:
            copy.execute("UPDATE meta SET value = lower(hex(randomblob(16))) WHERE name = 'instance'")
    except sqlite3.Error as error:
        raise UnusableBackup(f"{backup} cannot be copied to {restored}: {error}") from error
    kept = _keep(database, suffix) if database.exists() else None
    HighWaterMark(database).path.unlink(missing_ok=True)  # it is that of the database before
    restored.replace(database)  # at no moment is there none
    _sync(database.parent)
    return kept


def _keep(database: Path, suffix: str) -> Path:
    """Give a database another name besides its own, with what its write-ahead log has."""
    kept = database.with_name(f"{database.name}.{suffix}")
    with suppress(sqlite3.Error), closing(_connect(database, "rw")) as unused:  # whatever is wrong with it
        unused.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    kept.hardlink_to(database)
    for ending in _WAL_FILES:
        with suppress(FileNotFoundError):
            Path(f"{database}{ending}").rename(f"{kept}{ending}")
    return kept


@contextmanager
def _usable(backup: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection to a backup that is whole, and of a version that this Stitcher knows."""
    if not backup.is_file():
        raise UnusableBackup(f"there is no file {backup}")
    try:
        with closing(_connect(backup, "ro")) as source:
            version = version_of(source)
            known = source.execute("SELECT count(*) FROM sqlite_schema WHERE name IN ('meta', 'jobs')").fetchone()[0]
            if version == 0 or known != 2:
                raise UnusableBackup(f"{backup} is no database of Stitcher")
            if version > len(migrations()):
                raise UnusableBackup(str(NewerDatabase(version, len(migrations()))))
            [fault] = source.execute("PRAGMA integrity_check(1)").fetchone()
            if fault != "ok":
                raise UnusableBackup(f"{backup} is damaged: {fault}")
            yield source
    except sqlite3.DatabaseError as error:
        raise UnusableBackup(f"{backup} cannot be read as a database: {error}") from error


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None)


def _copy(source: sqlite3.Connection, target: Path) -> int:
    """Write a database to a new file that only we can read, whole or not at all; return its size in bytes."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    partial = target.with_name(f"{target.name}.partial")
    try:
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        with closing(sqlite3.connect(partial, isolation_level=None)) as copy:
            source.backup(copy)  # in one step: in several it would begin again with each write of others
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, also for those who only read it
        size = partial.stat().st_size
        partial.replace(target)
        _sync(target.parent)
    except BaseException:
        for path in (target, partial):
            path.unlink(missing_ok=True)
        raise
    return size


def _sync(directory: Path) -> None:
    """Let the names in a directory be on disk."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
