"""Stores the revisions of the rails for as long as a job may refer to one, and the events about them."""

from typing import Any

from stitcherd.store.db import Db
from stitcherd.store.events import add_events, new_event
from stitcherd.store.in_force import in_force, put_in_force, read_in_force
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

    async def put_in_force(self, digest: str, payload: dict[str, Any], now: int, /, *, instead_of: str | None) -> bool:
        """Put a stored text in force for all daemons, with an event; return False, and do nothing, if others are.

        That is, others than `instead_of`, the digest that the caller knows; None for any.
        """
        return await self._store.write(_put_in_force, digest, payload, now, instead_of)

    async def put_none_in_force(self) -> None:
        """Let no rails be in force for any daemon."""
        await self._store.write(put_in_force, None)

    async def in_force(self) -> str | None:
        """Return the digest of the rails in force for all daemons, None without any."""
        async with self._store.reading(one_statement=True) as db:
            return await read_in_force(db)

    async def add_event(self, type_: str, payload: dict[str, Any], now: int, /) -> None:
        """Store an event of the daemon."""
        await self._store.write(add_events, new_event(type_, actor="stitcherd", now=now, payload=payload))


def _put_in_force(db: Db, digest: str, payload: dict[str, Any], now: int, instead_of: str | None) -> bool:
    if instead_of is not None and in_force(db) not in {None, instead_of}:
        return False
    put_in_force(db, digest)
    add_events(db, new_event("rails.reloaded", actor="stitcherd", now=now, payload=payload))
    return True


def _insert(db: Db, digest: str, text: str, now: int) -> None:
    db.execute(
        "INSERT INTO rails (digest, text, loaded_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (digest, text, now)
    )
