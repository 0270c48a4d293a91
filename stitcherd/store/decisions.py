"""Writes decisions, which are never changed: whatever was decided again has another one."""

import sqlite3

from shared.models import Decision
from stitcherd.store import rows


def add_decision(db: sqlite3.Connection, decision: Decision) -> int:
    """Store a decision and return its key."""
    cursor = db.execute("INSERT INTO decisions (document) VALUES (?)", (rows.encode(decision),))
    assert cursor.lastrowid is not None  # noqa: S101 (an INSERT has one)
    return cursor.lastrowid
