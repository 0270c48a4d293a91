"""The bodies of deliveries as they are stored: compressed, since what forges send is text that repeats itself."""

import sys
from collections.abc import Iterable

from stitcherd.store.db import Db, Row
from stitcherd.store.queries import insert_rows

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdCompressor, decompress
else:
    from backports.zstd import ZstdCompressor, decompress

_LEVEL = 1  # the next ones take longer, and save little more
_compressor = ZstdCompressor(level=_LEVEL)  # used by the writer alone


def add_bodies(db: Db, bodies: Iterable[tuple[int, bytes]]) -> None:
    """Store bodies by the keys of their deliveries."""
    insert_rows(db, "INSERT INTO delivery_bodies", ("delivery", "zstd", "body"), [_stored(*each) for each in bodies])


def read_body(row: Row) -> bytes:
    """Return the body of a row with the columns `zstd` and `body`."""
    return decompress(row["body"]) if row["zstd"] else bytes(row["body"])


def _stored(key: int, body: bytes) -> tuple[int, int, bytes]:
    compressed = _compressor.compress(body, mode=ZstdCompressor.FLUSH_FRAME)
    return (key, 1, compressed) if len(compressed) < len(body) else (key, 0, body)
