"""Which rails are in force for all processes that share the store."""

from stitcherd.store.db import Db, Reader
from stitcherd.store.queries import fetch_all

_READ = "SELECT value FROM meta WHERE name = 'rails_in_force'"


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


async def read_in_force(db: Reader) -> str | None:
    """Return the digest of the rails in force, None without any."""
    found = await fetch_all(db, _READ, [])
    return str(found[0]["value"]) if found else None
