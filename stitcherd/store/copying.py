"""Copies a SQLite file to an empty PostgreSQL database, in one transaction, and compares both before that ends.

All keys stay what they are, and the instance too: who follows the events may go on with the same cursor.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from graphlib import TopologicalSorter
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from msgspec import Struct

from stitcherd.store.errors import UnusableDatabase
from stitcherd.store.high_water import HighWaterMark
from stitcherd.store.migrate import NewerDatabase, migrations, version_of
from stitcherd.store.opening import find_damage, last_event
from stitcherd.store.pieces import OutputPlace
from stitcherd.store.postgres_connections import PostgresDb, connect_writer
from stitcherd.store.postgres_schema import create_or_migrate, refuse_unsuitable

REPORTED_ROWS = 250_000  # of a table, between two reports
PIECES = "pieces"
_TYPES = {"INTEGER": "int8", "TEXT": "text", "BLOB": "bytea", "REAL": "float8"}
_CHECKSUM = 2**128
_RELATIONS = (
    "SELECT c.relname AS name FROM pg_class c WHERE c.relnamespace = CAST(current_schema() AS regnamespace)"
    " AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') ORDER BY c.relname LIMIT 3"
)
_IDENTITIES = (
    "SELECT table_name, column_name FROM information_schema.columns"
    " WHERE table_schema = current_schema() AND is_identity = 'YES'"
)

Report = Callable[[str], None]
Pieces = Iterable[tuple[OutputPlace, int, bytes]]  # of outputs: where each begins, and its bytes


class CannotCopy(Exception):
    """Nothing was copied; the text says why."""


class _Table(Struct, frozen=True):
    name: str
    columns: tuple[str, ...]
    types: tuple[str, ...]

    @property
    def names(self) -> str:
        return ", ".join(f'"{column}"' for column in self.columns)


class _Contents:
    """What a table has: how many rows, and the sum of their hashes, in whatever order they come."""

    def __init__(self) -> None:
        self.rows = 0
        self._sum = 0

    def add(self, row: Sequence[Any]) -> None:
        self.rows += 1
        digest = blake2b(msgspec.msgpack.encode(row), digest_size=16).digest()
        self._sum = (self._sum + int.from_bytes(digest)) % _CHECKSUM

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Contents) and (self.rows, self._sum) == (other.rows, other._sum)

    __hash__ = None  # type: ignore[assignment]


@contextmanager
def open_source(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a SQLite file that nobody writes, to read it as it is now; raises CannotCopy, NewerDatabase."""
    if not path.is_file():
        raise CannotCopy(f"there is no database {path}")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)) as source:
            source.execute("PRAGMA query_only = ON")
            source.execute("PRAGMA wal_autocheckpoint = 0")
            source.execute("BEGIN")
            _refuse_unusable(source, path)
            yield source
    except sqlite3.DatabaseError as error:
        raise CannotCopy(f"the database {path} cannot be read: {error}") from error


def count_rows(source: sqlite3.Connection) -> dict[str, int]:
    """Return how many rows each table has."""
    return {table.name: source.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0] for table in _tables(source)}


@contextmanager
def open_target(dsn: str) -> Iterator[PostgresDb]:
    """Open an empty database; raises CannotCopy, also in place of any error of PostgreSQL until it is closed."""
    try:
        db = connect_writer(dsn)
    except UnusableDatabase:
        raise CannotCopy("--to is no connection string of PostgreSQL") from None
    except psycopg.Error as error:
        raise CannotCopy(f"the database of --to cannot be used: {_sentence(error)}") from error
    try:
        db.connection.execute(b"SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")
        refuse_unsuitable(db)
        if found := db.execute(_RELATIONS).fetchall():
            names = ", ".join(row["name"] for row in found)
            raise CannotCopy(f"the database of --to is not empty, it has {names}: create another one")
        yield db
    except UnusableDatabase as error:
        raise CannotCopy(f"the database of --to cannot be used: {error}") from None
    except psycopg.Error as error:
        raise CannotCopy(f"the database of --to failed: {_sentence(error)}") from error
    finally:
        db.connection.close()


def copy_rows(source: sqlite3.Connection, db: PostgresDb, pieces: Pieces, report: Report) -> dict[str, int]:
    """Copy all tables to an empty database, and outputs; return how many rows each table has.

    All is copied, or nothing: raises CannotCopy.
    """
    tables = _tables(source)
    with db.connection.transaction():
        create_or_migrate(db)
        db.execute("ALTER TABLE jobs DISABLE TRIGGER USER")  # what they would write is copied
        db.execute("DELETE FROM meta")
        written = {}
        for table in tables:
            rows: Iterable[Sequence[Any]] = source.execute(f"SELECT {table.names} FROM {table.name}")
            if table.name == PIECES:
                rows = chain(rows, _piece_rows(source, pieces))
            written[table.name] = _copy_table(db, table, rows, report)
        db.execute("ALTER TABLE jobs ENABLE TRIGGER USER")
        _continue_keys(source, db)
        db.execute("ANALYZE")
        for table in tables:
            report(f"comparing {table.name}")
            if _read_table(db, table) != written[table.name]:
                raise CannotCopy(f"the table {table.name} is not the same in both databases")
        # Whoever ran jobs of the file runs no more, and its lease there had no end.
        db.execute("UPDATE daemons SET gone = 1")
    return {name: contents.rows for name, contents in written.items()}


def _refuse_unusable(source: sqlite3.Connection, path: Path) -> None:
    version, newest = version_of(source), len(migrations())
    if version > newest:
        raise NewerDatabase(version, newest)
    if version < newest:
        raise CannotCopy(f"the database {path} is of an earlier version: start stitcherd once, which changes it")
    if damage := find_damage(source):
        raise CannotCopy(f"the database {path} is damaged: {damage}")
    mark = HighWaterMark(path)
    if mark.events is not None and last_event(source) < mark.events:
        raise CannotCopy(f"the database {path} lacks events: start stitcherd, which says what can be done")


def _tables(source: sqlite3.Connection) -> list[_Table]:
    """Return all tables, each after those that it refers to."""
    names = source.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    references = {
        name: {found[2] for found in source.execute(f"PRAGMA foreign_key_list({name})")} for (name,) in names.fetchall()
    }
    tables = []
    for name in TopologicalSorter(references).static_order():
        columns = source.execute(f"PRAGMA table_info({name})").fetchall()
        tables.append(_Table(name, tuple(each[1] for each in columns), tuple(_TYPES[each[2]] for each in columns)))
    return tables


def _piece_rows(source: sqlite3.Connection, pieces: Pieces) -> Iterator[tuple[object, ...]]:
    """Yield rows of pieces; outputs of jobs that are not there any more are left out."""
    for place, start, data in pieces:
        found = source.execute("SELECT key FROM jobs WHERE id = ?", [place.job_id]).fetchone()
        if found is not None:
            yield found[0], place.attempt, place.name, start, data


def _copy_table(db: PostgresDb, table: _Table, rows: Iterable[Sequence[Any]], report: Report) -> _Contents:
    contents = _Contents()
    statement = f"COPY {table.name} ({table.names}) FROM STDIN (FORMAT BINARY)".encode()
    with db.connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(table.types)
        for row in rows:
            values = [
                value.replace("\0", "\N{REPLACEMENT CHARACTER}") if type(value) is str else value for value in row
            ]
            copy.write_row(values)
            contents.add(values)
            if contents.rows % REPORTED_ROWS == 0:
                report(f"{table.name}: {contents.rows:,} rows so far")
    report(f"{table.name}: {contents.rows:,} rows")
    return contents


def _read_table(db: PostgresDb, table: _Table) -> _Contents:
    contents = _Contents()
    statement = f"COPY {table.name} ({table.names}) TO STDOUT (FORMAT BINARY)".encode()
    with db.connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(table.types)
        for row in copy.rows():
            contents.add(row)
    return contents


def _continue_keys(source: sqlite3.Connection, db: PostgresDb) -> None:
    """Let new rows have keys after the highest that a row of their table has had."""
    for row in db.execute("SELECT name FROM highest_keys").fetchall():
        highest = _highest_key(source, row["name"], "id" if row["name"] == "events" else "key")
        db.execute("UPDATE highest_keys SET seq = ? WHERE name = ?", [highest, row["name"]])
    for table, column in db.execute(_IDENTITIES).fetchall():
        if highest := _highest_key(source, table, column):
            db.execute("SELECT setval(CAST(pg_get_serial_sequence(?, ?) AS regclass), ?)", [table, column, highest])


def _highest_key(source: sqlite3.Connection, table: str, column: str) -> int:
    query = (
        f"SELECT max((SELECT coalesce(max({column}), 0) FROM {table}),"
        " (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?))"
    )
    return int(source.execute(query, [table]).fetchone()[0])


def _sentence(error: psycopg.Error) -> str:
    return " ".join(str(error).split())
