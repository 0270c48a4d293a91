"""HMAC signatures and delivery ids that are read from headers."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Protocol

from stitcherd.sources.base import BadSignature, ReadDeliveryId, Verify

DELIVERY_ID_MAX = 255  # characters

# hashlib releases the interpreter lock for inputs over 2047 bytes. Getting it back from a busy writer thread takes
# several times as long as hashing 10 KB, so shorter bodies are hashed in pieces below that size.
PIECE_BYTES = 2047
GIL_RELEASE_MIN = 64 * 1024


class _Hash(Protocol):
    def update(self, data: bytes | memoryview, /) -> None: ...
    def digest(self) -> bytes: ...


def hmac_verifier(*names: str, prefix: str = "") -> Verify:
    """Return a verifier of the first header of `names` that is present: `prefix`, then the body's HMAC-SHA256 in hex.

    A missing or empty header matches no secret, and neither does an older, weaker signature alone.
    """

    def verify(headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], _now: int = 0, /) -> int:
        header = next((name for name in names if name in headers), None)
        if header is None:
            raise BadSignature(f"{names[0]} is missing")
        given = headers[header].lower().encode(errors="replace")  # aiohttp passes odd bytes on as lone surrogates
        for number, secret in enumerate(secrets, start=1):
            expected = prefix + hmac_sha256(secret, body).hex()
            if secret and hmac.compare_digest(given, expected.encode()):
                return number
        raise BadSignature(f"{header} matches no secret")

    return verify


def delivery_id_reader(*names: str) -> ReadDeliveryId:
    """Return a reader of the id in the first header of `names` that has a valid one.

    An empty, overlong or unprintable id counts as none.
    """

    def external_id(headers: Mapping[str, str], /) -> str | None:
        given = (headers.get(name, "").strip() for name in names)
        return next(filter(_is_valid_id, given), None)

    return external_id


def sha256(body: bytes) -> str:
    """Return the SHA-256 of a body in hex."""
    return _hash(hashlib.sha256(), body).hex()


def hmac_sha256(key: bytes, body: bytes) -> bytes:
    """Return the HMAC-SHA256 of a body."""
    return _hash(hmac.new(key, digestmod="sha256"), body)


def _hash(digest: _Hash, body: bytes) -> bytes:
    if len(body) >= GIL_RELEASE_MIN:
        digest.update(body)
    else:
        view = memoryview(body)
        for start in range(0, len(body), PIECE_BYTES):
            digest.update(view[start : start + PIECE_BYTES])
    return digest.digest()


def _is_valid_id(text: str) -> bool:
    return 0 < len(text) <= DELIVERY_ID_MAX and text.isascii() and text.isprintable()
