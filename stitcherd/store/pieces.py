"""Outputs of attempts in pieces, where they are kept in the database: step logs, prompts and diffs."""

from msgspec import Struct

from stitcherd.store.db import Db, Reader
from stitcherd.store.queries import fetch_all

PIECE_MAX = 256 * 1024  # bytes

_PLACE = "job = (SELECT key FROM jobs WHERE id = :job) AND attempt = :attempt AND output = :output"


class OutputPlace(Struct, frozen=True):
    """The attempt that an output is of, and the name of the output in it."""

    job_id: str
    attempt: int
    name: str


def append_piece(db: Db, place: OutputPlace, start: int, data: bytes) -> bool:
    """Store the bytes of an output from `start` on, at most PIECE_MAX; return False where its job does not exist.

    If a piece that begins there is stored already, it is replaced: whether the last one was stored may be unknown.
    """
    stored = db.execute(
        "INSERT INTO pieces (job, attempt, output, start, data)"
        " SELECT key, :attempt, :output, :start, :data FROM jobs WHERE id = :job"
        " ON CONFLICT (job, attempt, output, start) DO UPDATE SET data = excluded.data",
        {**_values(place), "start": start, "data": data},
    )
    return stored.rowcount > 0


def move_output(db: Db, place: OutputPlace, name: str) -> None:
    """Give an output of an attempt another name, in place of the output that has it."""
    db.execute(f"DELETE FROM pieces WHERE {_PLACE}", _values(OutputPlace(place.job_id, place.attempt, name)))
    db.execute(f"UPDATE pieces SET output = :name WHERE {_PLACE}", {**_values(place), "name": name})


def delete_output(db: Db, place: OutputPlace) -> None:
    """Delete an output of an attempt."""
    db.execute(f"DELETE FROM pieces WHERE {_PLACE}", _values(place))


async def output_size(db: Reader, place: OutputPlace) -> int | None:
    """Return how many bytes of an output are stored, None where nothing is known of it."""
    last = f"SELECT start + length(data) AS size FROM pieces WHERE {_PLACE} ORDER BY start DESC LIMIT 1"
    found = await fetch_all(db, last, _values(place))
    return int(found[0]["size"]) if found else None


async def read_pieces(db: Reader, place: OutputPlace, start: int, end: int) -> bytes:
    """Return what is stored of an output from `start` on: all up to `end`, or PIECE_MAX bytes or more."""
    first = f"SELECT max(start) FROM pieces WHERE {_PLACE} AND start <= :first"
    found = await fetch_all(
        db,
        f"SELECT start, data FROM pieces WHERE {_PLACE} AND start >= ({first}) AND start < :last ORDER BY start",
        {**_values(place), "first": start, "last": min(end, start + PIECE_MAX)},
    )
    if not found:
        return b""
    data = b"".join(row["data"] for row in found)
    return data[start - found[0]["start"] : end - found[0]["start"]]


def _values(place: OutputPlace) -> dict[str, str | int | bytes]:
    return {"job": place.job_id, "attempt": place.attempt, "output": place.name}
