"""Applies numbered migrations to a database file, all of them or none, and logs how far it is."""

import logging
import sqlite3
import time
from collections.abc import Iterator
from importlib.resources import files

log = logging.getLogger(__name__)


class NewerDatabase(Exception):
    """The database was written by a newer Stitcher and must not be changed by this one."""

    def __init__(self, version: int, known: int) -> None:
        super().__init__(f"the database has version {version}, this Stitcher knows {known}: use a newer Stitcher")


def migrations() -> list[tuple[int, str]]:
    """Return the migrations as (number, SQL), in order; raise RuntimeError for a gap in the numbers."""
    found = numbered_scripts("stitcherd.store.migrations")
    if [number for number, _ in found] != list(range(1, len(found) + 1)):
        raise RuntimeError("the migrations are not numbered 1, 2, 3, …")
    return found


def numbered_scripts(package: str) -> list[tuple[int, str]]:
    """Return the SQL files of a package as (number, SQL), in order."""
    return sorted(
        (int(entry.name.split("_")[0]), entry.read_text("utf-8"))
        for entry in files(package).iterdir()
        if entry.name.endswith(".sql")
    )


def split_statements(script: str) -> Iterator[str]:
    """Yield the statements of a script one by one; raise OperationalError if the last one is incomplete.

    `executescript` would commit first, and a migration that fails would stay half applied.
    """
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    if pending.strip():
        raise sqlite3.OperationalError(f"incomplete statement: {pending.strip()[:80]}")


def migrate(connection: sqlite3.Connection) -> None:
    """Apply the missing migrations in one transaction; raise NewerDatabase if the file has a higher version."""
    known, begun = migrations(), time.monotonic()
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _checked_version(connection, len(known))
        for number, script in known[version:]:
            log_step(version, number, len(known))
            for statement in split_statements(script):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    if 0 < version < len(known):
        log.info("migrated the database to version %d in %.1f s", len(known), time.monotonic() - begun)


def log_step(version: int, number: int, newest: int) -> None:
    """Log that a database of a version gets a migration on the way to the newest one; of a new database nothing."""
    if version:
        steps = newest - version
        log.info(
            "migrating the database from version %d to %d: step %d of %d", version, newest, number - version, steps
        )


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version of a database: the number of its last migration, 0 for an empty file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _checked_version(connection: sqlite3.Connection, known: int) -> int:
    version = version_of(connection)
    if version > known:
        raise NewerDatabase(version, known)
    return version
