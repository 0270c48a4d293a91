"""Stores the revisions of the rails for as long as a job may refer to one, and the events about them."""

from typing import Any

from stitcherd.store.db import Db
from stitcherd.store.events import add_events, new_event
from stitcherd.store.queries import fetch_all
from stitcherd.store.store import Store


class StoredRevisions:
    """The revisions of the rails in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def save(self, digest: str, text: str, now: int, /) -> None:
        """Store a text by its digest (`now` in ms); storing it again changes nothing."""
        await self._store.write(_insert, digest, text, now)

    async def text(self, digest: str, /) -> str | None:
        """Return the text with a digest, or None if there is none."""
        async with self._store.reading() as db:
            found = await fetch_all(db, "SELECT text FROM rails WHERE digest = ?", [digest])
        return str(found[0]["text"]) if found else None

    async def find(self, start: str, limit: int, /) -> tuple[str, ...]:
        """Return at most `limit` digests that begin with these hexadecimal digits."""
        async with self._store.reading() as db:
            found = await fetch_all(
                db, "SELECT digest FROM rails WHERE digest >= ? AND digest < ? LIMIT ?", [start, f"{start}g", limit]
            )
        return tuple(row["digest"] for row in found)

    async def add_event(self, type_: str, payload: dict[str, Any], now: int, /) -> None:
        """Store an event of the daemon."""
        await self._store.write(add_events, new_event(type_, actor="stitcherd", now=now, payload=payload))


def _insert(db: Db, digest: str, text: str, now: int) -> None:
    db.execute(
        "INSERT INTO rails (digest, text, loaded_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (digest, text, now)
    )
