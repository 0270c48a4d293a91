"""Applies numbered migrations to a database file, all of them or none."""

import sqlite3
from collections.abc import Iterator
from importlib.resources import files


class NewerDatabase(Exception):
    """The database was written by a newer Stitcher and must not be changed by this one."""


def migrations() -> list[tuple[int, str]]:
    """Return the migrations as (number, SQL), in order; raise RuntimeError for a gap in the numbers."""
    found = sorted(
        (int(entry.name.split("_")[0]), entry.read_text("utf-8"))
        for entry in files("stitcherd.store.migrations").iterdir()
        if entry.name.endswith(".sql")
    )
    if [number for number, _ in found] != list(range(1, len(found) + 1)):
        raise RuntimeError("the migrations are not numbered 1, 2, 3, …")
    return found


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
    known = migrations()
    connection.execute("BEGIN IMMEDIATE")
    try:
        for number, script in known[_version(connection, len(known)) :]:
            for statement in split_statements(script):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection, known: int) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > known:
        raise NewerDatabase(f"the database has version {version}, this Stitcher knows {known}: use a newer Stitcher")
    return version
