"""Decisions; they are never changed: what is decided again gets another one, and the earlier one is forgotten."""

from collections.abc import Sequence

from shared.models import Decision
from stitcherd.store import rows
from stitcherd.store.db import Db, Reader
from stitcherd.store.queries import KEYS, fetch_all, insert_rows


def add_decision(db: Db, decision: Decision) -> int:
    """Store a decision and return its key."""
    return add_decisions(db, (decision,))[0]


def add_decisions(db: Db, decisions: Sequence[Decision]) -> Sequence[int]:
    """Store decisions and return their keys."""
    keys = db.new_keys("decisions", len(decisions))
    documents = map(rows.encode, decisions)
    insert_rows(db, "INSERT INTO decisions", ("key", "document"), list(zip(keys, documents, strict=True)))
    return keys


def forget_decisions(db: Db, keys: Sequence[int | None]) -> None:
    """Delete those of the decisions that no job and no delivery refers to any more."""
    db.execute(
        f"DELETE FROM decisions WHERE key IN ({KEYS})"
        " AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.decision = decisions.key)"
        " AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.decision = decisions.key)",
        (rows.encode([key for key in keys if key is not None]),),
    )


async def find_document(db: Reader, decision: int | None) -> str | None:
    """Return the JSON document of a decision by its key, None if there is none."""
    found = await fetch_all(db, "SELECT document FROM decisions WHERE key = ?", [decision])
    return found[0]["document"] if found else None
