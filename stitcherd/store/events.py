"""Writes events: what happened, once, in the transaction that made it happen."""

import sqlite3
from typing import Any

from stitcherd.store import rows


def add_event(
    db: sqlite3.Connection,
    type_: str,
    *,
    actor: str,
    now: int,
    job: int | None = None,
    step: str | None = None,
    delivery: str | None = None,
    workspace: str | None = None,
    payload: dict[str, Any] | None = None,
) -> int:
    """Append an event and return its id, the cursor of the stream.

    `job` is the job's integer key. An event without a job belongs to `workspace`; without that too, to all.
    """
    cursor = db.execute(
        "INSERT INTO events (job, step, delivery, workspace, type, actor, at, payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (job, step, delivery, workspace, type_, actor, now, rows.encode(payload or {})),
    )
    assert cursor.lastrowid is not None  # noqa: S101 (an INSERT has one)
    return cursor.lastrowid
