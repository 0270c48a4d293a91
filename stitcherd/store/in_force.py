"""Which rails are in force for all processes that share the store."""

from collections.abc import Iterable

from stitcherd.store.db import Db, Reader
from stitcherd.store.queries import fetch_all

_READ = "SELECT value FROM meta WHERE name = 'rails_in_force'"


class RailsReplaced(Exception):
    """Nothing was stored: other rails are in force than those that it was decided under."""


def put_in_force(db: Db, digest: str | None) -> None:
    """Put rails in force by their digest; None for none."""
    if digest is None:
        db.execute("DELETE FROM meta WHERE name = 'rails_in_force'")
    else:
        db.execute(
            "INSERT INTO meta (name, value) VALUES ('rails_in_force', ?)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (digest,),
        )


def in_force(db: Db) -> str | None:
    """Return the digest of the rails in force, None without any."""
    found = db.execute(_READ).fetchone()
    return None if found is None else str(found["value"])


def refuse_others(db: Db, known: Iterable[str | None]) -> None:
    """Raise RailsReplaced unless these digests are that of the rails in force, if any are.

    An empty one stands for a decision without any rails, None for what was not decided by rails.
    """
    digests = {each for each in known if each is not None}
    if digests and in_force(db) not in {None, *(digests if len(digests) == 1 else ())}:
        raise RailsReplaced


async def read_in_force(db: Reader) -> str | None:
    """Return the digest of the rails in force, None without any."""
    found = await fetch_all(db, _READ, [])
    return str(found[0]["value"]) if found else None
