"""Bodies of deliveries: compressed where that saves anything, and read back byte for byte."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stitcherd.store.bodies import add_bodies, read_body
from stitcherd.store.db import Row
from stitcherd.store.sqlite_connections import WritingConnection

pytestmark = pytest.mark.sqlite

JSON = b'{"action": "created", "comment": {"body": "the same words, the same words"}}' * 20


def stored(body: bytes) -> Row:
    with sqlite3.connect(":memory:", factory=WritingConnection) as db:
        db.row_factory = sqlite3.Row
        db.execute("CREATE TABLE delivery_bodies (delivery INTEGER, zstd INTEGER, body BLOB)")
        add_bodies(db, [(1, body)])
        row: Row = db.execute("SELECT * FROM delivery_bodies").fetchone()
    return row


@given(st.binary(max_size=3000))
def test_any_body_is_read_as_it_was(body: bytes) -> None:
    assert read_body(stored(body)) == body


@pytest.mark.parametrize(("body", "compressed"), [(JSON, 1), (b"{}", 0), (b"", 0)])
def test_only_what_gets_smaller_is_compressed(body: bytes, compressed: int) -> None:
    row = stored(body)
    assert (row["zstd"], read_body(row)) == (compressed, body)
    assert len(row["body"]) <= len(body)


def test_a_body_that_an_earlier_version_stored_is_not_taken_for_a_compressed_one() -> None:
    row = stored(JSON)
    with sqlite3.connect(":memory:", factory=WritingConnection) as db:
        db.row_factory = sqlite3.Row
        assert read_body(db.execute("SELECT 0 AS zstd, ? AS body", (row["body"],)).fetchone()) == row["body"]
