"""Decisions; they are never changed: what is decided again gets another one."""

import sqlite3

import aiosqlite

from shared.models import Decision
from stitcherd.store import rows
from stitcherd.store.queries import fetch_all


def add_decision(db: sqlite3.Connection, decision: Decision) -> int:
    """Store a decision and return its key."""
    cursor = db.execute("INSERT INTO decisions (document) VALUES (?)", (rows.encode(decision),))
    assert cursor.lastrowid is not None  # noqa: S101 (an INSERT has one)
    return cursor.lastrowid


async def find_document(db: aiosqlite.Connection, decision: int | None) -> str | None:
    """Return the JSON document of a decision by its key, None if there is none."""
    found = await fetch_all(db, "SELECT document FROM decisions WHERE key = ?", [decision])
    return found[0]["document"] if found else None
