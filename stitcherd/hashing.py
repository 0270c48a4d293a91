"""SHA-256 and HMAC of bodies, without giving up the interpreter's lock for short ones.

hashlib lets go of the lock for pieces over 2047 bytes. To get it back from a busy writer's thread takes several times
as long as hashing ten kilobytes does; a body as long as `LONG` is worth it.
"""

import hashlib
import hmac
from typing import Protocol

PIECE = 2047  # bytes; hashlib's HASHLIB_GIL_MINSIZE is 2048
LONG = 64 * 1024


class _Hash(Protocol):
    def update(self, data: bytes | memoryview, /) -> None: ...
    def digest(self) -> bytes: ...


def sha256(body: bytes) -> str:
    """Return the SHA-256 of a body in hex."""
    return _fed(hashlib.sha256(), body).hex()


def hmac_sha256(key: bytes, body: bytes) -> bytes:
    """Return the HMAC-SHA-256 of a body."""
    return _fed(hmac.new(key, digestmod="sha256"), body)


def _fed(digest: _Hash, body: bytes) -> bytes:
    if len(body) >= LONG:
        digest.update(body)
    else:
        view = memoryview(body)
        for start in range(0, len(body), PIECE):
            digest.update(view[start : start + PIECE])
    return digest.digest()
