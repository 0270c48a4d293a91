"""Builds and runs queries on the connections of readers."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import aiosqlite

from shared.protocol import ID_SUFFIX_MIN
from stitcherd.errors import Refusal
from stitcherd.store import rows

_NOUNS = {"jobs": "job", "deliveries": "delivery", "answers": "answer"}


async def find_by_suffix(db: aiosqlite.Connection, table: str, name: str, workspace: str | None) -> sqlite3.Row:
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


async def fetch_all(
    db: aiosqlite.Connection, statement: str, values: Sequence[Any] | dict[str, Any]
) -> list[sqlite3.Row]:
    """Return all rows of a statement."""
    return list(await db.execute_fetchall(statement, values))  # one turn of the reader's thread, not three
