"""Hashes in pieces are those of the whole."""

import hashlib
import hmac

from hypothesis import example, given
from hypothesis import strategies as st

from stitcherd.sources import signatures


@given(st.binary(max_size=3 * signatures.CHUNK), st.integers(1, 40))
@example(b"", 1)
@example(b"x" * signatures.CHUNK, 1)
@example(b"x" * (signatures.CHUNK + 1), 1)
@example(b"x" * signatures.GIL_RELEASE_MIN, 1)
def test_in_pieces_as_at_once(body: bytes, times: int) -> None:
    whole = body * times
    assert signatures.sha256(whole) == hashlib.sha256(whole).hexdigest()
    assert signatures.hmac_sha256(b"a key", whole) == hmac.digest(b"a key", whole, "sha256")
