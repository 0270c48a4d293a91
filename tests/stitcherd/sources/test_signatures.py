"""Hashing of bodies in pieces."""

import hashlib
import hmac

from hypothesis import example, given
from hypothesis import strategies as st

from stitcherd.sources import signatures


@given(st.binary(max_size=3 * signatures.PIECE_BYTES), st.integers(1, 40))
@example(b"", 1)
@example(b"x" * signatures.PIECE_BYTES, 1)
@example(b"x" * (signatures.PIECE_BYTES + 1), 1)
@example(b"x" * signatures.GIL_RELEASE_MIN, 1)
def test_hashing_in_pieces_equals_hashing_at_once(body: bytes, times: int) -> None:
    whole = body * times
    assert signatures.sha256(whole) == hashlib.sha256(whole).hexdigest()
    assert signatures.hmac_sha256(b"a key", whole) == hmac.digest(b"a key", whole, "sha256")
