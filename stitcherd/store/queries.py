"""Builds and runs queries on the connections of readers, and statements of many rows on that of the writer."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from shared.ids import ID_LENGTH
from shared.protocol import ID_SUFFIX_MIN
from stitcherd.errors import Refusal
from stitcherd.store import rows
from stitcherd.store.db import Db, Reader, Row

T = TypeVar("T")

# Statements differ in how many rows they take, and each length is prepared and cached once: there are few lengths.
CHUNKS = (64, 16, 4, 1)
KEYS = "SELECT CAST(value AS BIGINT) FROM json_each(?)"  # the integer keys in a JSON array
_NOUNS = {"jobs": "job", "deliveries": "delivery", "answers": "answer"}


async def find_by_suffix(db: Reader, table: str, name: str, workspace: str | None) -> Row:
    """Return the row of `table` whose id is `name` or ends with it; raise Refusal for none or several."""
    noun = _NOUNS[table]
    name = name.lower()
    ending = rows.reversed_suffix(name)
    where, values = conditions(("workspace", optional(workspace)))
    found = await fetch_all(
        db,
        f"SELECT * FROM {table}{where_clause([*where, 'tail >= ?', 'tail < ?'])} LIMIT 20",
        [*values, ending, ending + "~"],
    )
    found = [row for row in found if row["id"].endswith(name)] if len(name) >= ID_SUFFIX_MIN else []
    if not found:
        raise Refusal("not_found", f"there is no {noun} {name!r}")
    if len(found) > 1:
        raise Refusal("ambiguous_id", f"{name!r} is the end of {' and '.join(row['id'] for row in found)}")
    return found[0]


async def key_of_cursor(db: Reader, table: str, name: str, workspace: str | None) -> int:
    """Return the key that all rows on the next page of a list are below, by the last id on the page before it.

    Where retention has removed that row meanwhile, it is the key of the next younger one: ids begin with their time.
    Raises Refusal as `find_by_suffix` does.
    """
    try:
        return int((await find_by_suffix(db, table, name, workspace))["key"])
    except Refusal as refusal:
        if refusal.code != "not_found" or len(name) != ID_LENGTH:
            raise
        younger = f"SELECT key FROM {table} WHERE id > ? AND NOT EXISTS (SELECT 1 FROM {table} WHERE id = ?)"
        found = await fetch_all(db, f"{younger} ORDER BY id LIMIT 1", [name.lower()] * 2)
        if not found:
            raise
        return int(found[0]["key"])


def optional(value: str | None) -> tuple[str, ...]:
    """Return a tuple of the value, empty for None."""
    return () if value is None else (value,)


def conditions(*wanted: tuple[str, Sequence[str]]) -> tuple[list[str], list[Any]]:
    """Return conditions and their values: each column must have one of its values, if any are given."""
    clauses = [f"{column} IN ({', '.join('?' * len(values))})" for column, values in wanted if values]
    return clauses, [value for _, values in wanted for value in values]


def where_clause(clauses: Iterable[str]) -> str:
    """Return the WHERE clause of conditions that must all hold."""
    joined = " AND ".join(clauses)
    return f" WHERE {joined}" if joined else ""


async def fetch_all(db: Reader, statement: str, values: Sequence[Any] | dict[str, Any]) -> list[Row]:
    """Return all rows of a statement."""
    return list(await db.execute_fetchall(statement, values))  # one turn of the reader's thread, not three


def chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Split a sequence into parts whose lengths are in CHUNKS, in order."""
    at = 0
    for size in CHUNKS:
        while len(items) - at >= size:
            yield items[at : at + size]
            at += size


def row_marks(rows_: int, columns: int) -> str:
    """Return the placeholders of VALUES for so many rows and columns."""
    return ", ".join([f"({', '.join('?' * columns)})"] * rows_)


def insert_rows(
    db: Db, into: str, columns: Sequence[str], values: Sequence[Sequence[Any]], on_conflict: str = ""
) -> None:
    """Insert rows, each with a value for each of the columns; `into` begins the statement, `on_conflict` ends it."""
    names = ", ".join(columns)
    for part in chunks(values):
        statement = f"{into} ({names}) VALUES {row_marks(len(part), len(columns))}{on_conflict}"
        db.execute(statement, [value for row in part for value in row])
