"""Opens a SQLite database to write to it, unless it is damaged or lacks what was stored: then a copy of it is kept.

Which checkouts may be deleted is read before that, since opening it may need their space.
"""

import shutil
import sqlite3
from collections.abc import Collection
from contextlib import closing, suppress
from pathlib import Path

from shared.ids import format_timestamp, now_ms
from stitcherd.store.backup import back_up_before_migration
from stitcherd.store.high_water import HighWaterMark
from stitcherd.store.migrate import migrate
from stitcherd.store.sqlite_connections import WritingConnection, is_damage, unavailable

BUSY_SECONDS = 2.0  # that another process may lock the file before a write fails
CHECKED_MAX = 256 * 2**20  # bytes of a database that is checked as a whole after a crash: 0.2 s
RESTORE = "stitcherd restore FILE"
HEADER_BYTES = 100  # of every database
_PRAGMAS = (
    "auto_vacuum=INCREMENTAL",  # of a new file only: it must be known before the first table
    "journal_mode=WAL",
    "synchronous=FULL",
    "wal_autocheckpoint=0",
    "foreign_keys=ON",
)
_LAST_EVENT = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events'"
_EXPENDABLE = (
    "SELECT id FROM jobs j WHERE status IN ('COMPLETED', 'FAILED', 'CANCELLED') OR status = 'RUNNING'"
    " AND NOT EXISTS (SELECT 1 FROM starts s WHERE s.job = j.key AND s.attempt = j.attempt"
    " AND s.reference IS NOT NULL)"
    " AND NOT EXISTS (SELECT 1 FROM publications p WHERE p.job = j.key AND p.attempt = j.attempt AND p.active = 1)"
    " ORDER BY status <> 'RUNNING', completed_at"
)


class DamagedDatabase(Exception):
    """The database must not be used as it is; the text says what is known, where a copy is, and the remedy."""


def read_expendable(path: Path, job_ids: Collection[str]) -> list[str]:
    """Return those of the jobs whose checkouts nobody needs, in the order in which to delete them.

    First the jobs that an earlier daemon left running, but for those whose run or publication may go on; then the ones
    that ended, oldest first. For a start without a running daemon on `path`: it reads on a full disk, too. Raises
    StorageUnavailable.
    """
    try:
        with closing(sqlite3.connect(path.as_uri() + "?mode=rw", uri=True, isolation_level=None)) as db:
            db.execute("PRAGMA locking_mode = EXCLUSIVE")  # the index of the log is then in memory, not in a new file
            found = db.execute(_EXPENDABLE).fetchall()
    except sqlite3.Error as error:
        raise unavailable(error) from error
    return [job_id for (job_id,) in found if job_id in job_ids]


def open_database(path: Path, mark: HighWaterMark) -> WritingConnection:
    """Open or create a database with all migrations; the connection may be used by another thread.

    Raises DamagedDatabase, NewerDatabase, sqlite3.Error.
    """
    if mark.events and (not path.exists() or path.stat().st_size < HEADER_BYTES):
        # SQLite would delete the write-ahead log, and begin anew.
        raise DamagedDatabase(_describe_empty(path, mark))
    crashed = _size(path.with_name(path.name + "-wal")) > 0
    db = _connect(path)
    try:
        _set_up(db)
        back_up_before_migration(db, path)
        migrate(db)
        _refuse_losses(db, path, mark)
        if mark.suspect or (crashed and _size(path) <= CHECKED_MAX):
            _refuse_damage(db, path, mark)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            db.close()
            raise
        text = _describe_damage(path, mark, str(error))  # a copy must be made before the connection is closed
        db.close()
        raise DamagedDatabase(text) from error
    except BaseException:
        db.close()
        raise
    return db


def connect(path: Path) -> WritingConnection:
    """Open a database once more that `open_database` has opened before; raises sqlite3.Error."""
    db = _connect(path)
    try:
        _set_up(db)
    except BaseException:
        db.close()
        raise
    return db


def find_damage(db: sqlite3.Connection) -> str | None:
    """Check a whole database, 1 GB a second; return what is damaged, None if nothing is. Raises sqlite3.Error."""
    [(found,), *_] = db.execute("PRAGMA quick_check(1)").fetchall()
    return None if found == "ok" else " ".join(found.split())


def last_event(db: sqlite3.Connection) -> int:
    """Return the number of the last event that was ever stored, also if it was deleted since."""
    return int(db.execute(_LAST_EVENT).fetchone()[0])


def _connect(path: Path) -> WritingConnection:
    return sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS, factory=WritingConnection
    )


def _set_up(db: sqlite3.Connection) -> None:
    db.row_factory = sqlite3.Row
    db.create_function("database_ms", 0, now_ms)
    for pragma in _PRAGMAS:
        db.execute(f"PRAGMA {pragma}")


def _refuse_losses(db: sqlite3.Connection, path: Path, mark: HighWaterMark) -> None:
    found = last_event(db)
    if mark.events is not None and found < mark.events:
        raise DamagedDatabase(
            f"the database {path} ends with event {found}, but {mark.events} were stored, the last at {_time(mark)}:"
            f" its write-ahead log is damaged or missing, or it is an older copy; {_keep_copy(path, mark)};"
            f" restore a newer backup ({RESTORE}), or delete {mark.path.name} to go on without what is missing:"
            " jobs that were started since may then be started again"
        )


def _refuse_damage(db: sqlite3.Connection, path: Path, mark: HighWaterMark) -> None:
    found = find_damage(db)
    if found is not None:
        raise DamagedDatabase(_describe_damage(path, mark, found))
    if mark.suspect:
        mark.clear_damage()


def _describe_damage(path: Path, mark: HighWaterMark, reason: str) -> str:
    return f"the database {path} is damaged: {reason}; {_keep_copy(path, mark)}; {_remedy(path, mark)}"


def _describe_empty(path: Path, mark: HighWaterMark) -> str:
    state = "is empty" if path.exists() else "is missing"
    known = f"but {mark.events} events were stored in it, the last at {_time(mark)}"
    return f"the database {path} {state}, {known}; {_keep_copy(path, mark)}; {_remedy(path, mark)}"


def _remedy(path: Path, mark: HighWaterMark) -> str:
    files = f"{path.name}, {path.name}-wal and {mark.path.name}"
    return f"restore a backup ({RESTORE}), or remove {files} to begin with an empty one"


def _keep_copy(path: Path, mark: HighWaterMark) -> str:
    """Copy a database and its log, once for each damage; say where the copy is."""
    copy = path.with_name(f"{path.name}.corrupt-{_time(mark if mark.events is not None else path).replace(':', '')}")
    kept = []
    for suffix in ("", "-wal"):
        source, target = path.with_name(path.name + suffix), copy.with_name(copy.name + suffix)
        if _size(source) == 0:
            continue
        if not target.exists():
            try:
                shutil.copyfile(source, target)
            except OSError as error:
                target.unlink(missing_ok=True)
                return f"no copy could be kept ({error.strerror})"
        kept.append(str(target))
    return f"a copy is kept as {' and '.join(kept)}" if kept else "there is nothing to keep a copy of"


def _time(of: HighWaterMark | Path) -> str:
    path = of.path if isinstance(of, HighWaterMark) else of
    return format_timestamp(int(path.stat().st_mtime * 1000))


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0
