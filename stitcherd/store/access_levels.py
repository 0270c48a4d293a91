"""What forges said that accounts may do on repositories, kept for a short time: a restart need not ask again."""

from msgspec import Struct

from stitcherd.store.db import Db, Reader
from stitcherd.store.queries import fetch_all


class StoredAccess(Struct, frozen=True):
    """The access level of an account, by id, on a repository of a source; `asked_at` is in milliseconds.

    The repository is in lower case.
    """

    source: str
    repository: str
    account_id: str
    level: str
    asked_at: int


def save_level(db: Db, access: StoredAccess, oldest: int) -> None:
    """Store an access level, and delete all that were asked before `oldest` (ms)."""
    db.execute("DELETE FROM access_levels WHERE asked_at < ?", (oldest,))
    db.execute(
        "INSERT INTO access_levels (source, repository, account_id, level, asked_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (source, repository, account_id)"
        " DO UPDATE SET level = excluded.level, asked_at = excluded.asked_at",
        (access.source, access.repository, access.account_id, access.level, access.asked_at),
    )


def forget_levels(db: Db, source: str, repository: str | None) -> None:
    """Delete the access levels on a repository of a source, or on all of them."""
    db.execute(
        "DELETE FROM access_levels WHERE source = ? AND repository = coalesce(CAST(? AS TEXT), repository)",
        (source, repository),
    )


async def read_levels(db: Reader, since: int) -> list[StoredAccess]:
    """Return the access levels that were asked at `since` (ms) or later."""
    found = await fetch_all(db, "SELECT * FROM access_levels WHERE asked_at >= ?", [since])
    return [StoredAccess(**dict(row)) for row in found]
