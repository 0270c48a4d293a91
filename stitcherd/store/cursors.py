"""How far each list of a forge was read: a daemon that starts again goes on from there."""

from msgspec import Struct
from msgspec.structs import astuple

from stitcherd.store.db import Db, Reader
from stitcherd.store.queries import fetch_all, insert_rows

_KEY = ("source", "name")


class Cursor(Struct, frozen=True, kw_only=True):
    """How far the list `name` of a source was read.

    `value` is the position in it, `etag` and `modified` what a conditional request needs, `error` why it could not be
    read the last time. It is read again at `next_at`; `at` is when it was read (both in ms).
    """

    source: str
    name: str
    value: str | None = None
    etag: str | None = None
    modified: str | None = None
    next_at: int = 0
    error: str | None = None
    at: int = 0


_CHANGED = ", ".join(f"{name} = excluded.{name}" for name in Cursor.__struct_fields__ if name not in _KEY)
_REPLACE = f" ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET {_CHANGED}"


def save_cursors(db: Db, *cursors: Cursor) -> None:
    """Store cursors in place of those with their names."""
    insert_rows(db, "INSERT INTO cursors", Cursor.__struct_fields__, [astuple(each) for each in cursors], _REPLACE)


async def read_cursors(db: Reader, source: str) -> dict[str, Cursor]:
    """Return the cursors of a source by their names."""
    found = await fetch_all(db, "SELECT * FROM cursors WHERE source = ?", [source])
    return {row["name"]: Cursor(**dict(row)) for row in found}
