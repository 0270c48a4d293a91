"""Writes decisions, which are never changed: whatever was decided again has another one."""

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


def save_rails(db: sqlite3.Connection, revision: str, text: str, now: int) -> None:
    """Keep a revision of the rails for as long as a job may name it."""
    db.execute("INSERT OR IGNORE INTO rails (revision, text, loaded_at) VALUES (?, ?, ?)", (revision, text, now))


async def rails_text(db: aiosqlite.Connection, revision: str) -> str | None:
    """Return the text of a revision of the rails."""
    found = await fetch_all(db, "SELECT text FROM rails WHERE revision = ?", [revision])
    return str(found[0]["text"]) if found else None


async def find_document(db: aiosqlite.Connection, decision: int | None) -> str | None:
    """Return the document of a decision by its key."""
    found = await fetch_all(db, "SELECT document FROM decisions WHERE key = ?", [decision])
    return found[0]["document"] if found else None
