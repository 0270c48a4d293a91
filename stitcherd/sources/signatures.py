"""Signatures by Standard Webhooks: HMAC-SHA256 over the id, the time and the body, in base64.

Source: the specification of the Standard Webhooks project, "Webhook signature scheme".
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Protocol

from stitcherd.sources.base import BadSignature, ExternalId, Verify

# merged from stitcherd.sources.headers: What is read from headers alone: the proof of who sent the body, and
# the sender's id of the delivery.
# merged from stitcherd.hashing: SHA-256 and HMAC of bodies, without giving up the interpreter's lock for
# short ones. hashlib lets go of the lock for pieces over 2047 bytes. To get it back from a busy writer's
# thread takes several times as long as hashing ten kilobytes does; a body as long as `LONG` is worth it.

CHUNK = 2047  # bytes; hashlib's HASHLIB_GIL_MINSIZE is 2048
GIL_RELEASE_MIN = 64 * 1024


class _Hash(Protocol):
    def update(self, data: bytes | memoryview, /) -> None: ...
    def digest(self) -> bytes: ...


def sha256(body: bytes) -> str:
    """Return the SHA-256 of a body in hex."""
    return _feed(hashlib.sha256(), body).hex()


def hmac_sha256(key: bytes, body: bytes) -> bytes:
    """Return the HMAC-SHA-256 of a body."""
    return _feed(hmac.new(key, digestmod="sha256"), body)


def _feed(digest: _Hash, body: bytes) -> bytes:
    if len(body) >= GIL_RELEASE_MIN:
        digest.update(body)
    else:
        view = memoryview(body)
        for start in range(0, len(body), CHUNK):
            digest.update(view[start : start + CHUNK])
    return digest.digest()


DELIVERY_ID_MAX = 255


def hmac_verifier(*names: str, prefix: str = "") -> Verify:
    """Return a check of the first header of `names` that is there: `prefix`, then the body's HMAC-SHA256 in hex.

    Without any header, with an empty one, or with only an older, weaker one, nothing matches.
    """

    def verify(headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], _now: int = 0, /) -> int:
        header = next((name for name in names if name in headers), None)
        if header is None:
            raise BadSignature(f"{names[0]} is missing")
        claim = headers[header].lower().encode(errors="replace")  # servers hand on odd bytes as lone surrogates
        for number, secret in enumerate(secrets, start=1):
            proof = prefix + hmac_sha256(secret, body).hex()
            if secret and hmac.compare_digest(claim, proof.encode()):
                return number
        raise BadSignature(f"{header} matches no secret")

    return verify


def delivery_id_reader(*names: str) -> ExternalId:
    """Return a reader of the id in the first header of `names` that has one.

    One that is empty, overlong or unprintable counts as none.
    """

    def external_id(headers: Mapping[str, str], /) -> str | None:
        given = (headers.get(name, "").strip() for name in names)
        return next(filter(_is_valid_id, given), None)

    return external_id


def _is_valid_id(text: str) -> bool:
    return 0 < len(text) <= DELIVERY_ID_MAX and text.isascii() and text.isprintable()


STANDARD_ID = "webhook-id"
STANDARD_TIMESTAMP = "webhook-timestamp"
STANDARD_SIGNATURE = "webhook-signature"
TOLERANCE_MS = 300_000

_KEY_PREFIX = b"whsec_"  # what is in base64 after it, is the key
_read_standard_id = delivery_id_reader(STANDARD_ID)


def verify_standard(headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now: int = 0, /) -> int:
    """Return which secret matched, from 1, a signature made within five minutes of `now`; see `Verify`."""
    for name in (STANDARD_SIGNATURE, STANDARD_ID, STANDARD_TIMESTAMP):
        if name not in headers:
            raise BadSignature(f"{name} is missing")
    identifier, seconds = headers[STANDARD_ID], headers[STANDARD_TIMESTAMP]
    if _read_standard_id(headers) != identifier:  # one that is signed but not kept would never be known again
        raise BadSignature(f"{STANDARD_ID} is no id of printable ASCII in a delivery")
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= 12):
        raise BadSignature(f"{STANDARD_TIMESTAMP} is no number of seconds in a delivery")
    if abs(now - int(seconds) * 1000) > TOLERANCE_MS:
        raise BadSignature(f"{STANDARD_TIMESTAMP} is more than five minutes off in a delivery")
    signed = f"{identifier}.{seconds}.".encode() + body
    claims = headers[STANDARD_SIGNATURE].encode(errors="replace").split(b" ")
    for number, secret in enumerate(secrets, start=1):
        key = _decode_key(secret)
        proof = b"v1," + base64.b64encode(hmac_sha256(key, signed))
        if key and any(hmac.compare_digest(claim, proof) for claim in claims):
            return number
    raise BadSignature(f"{STANDARD_SIGNATURE} matches no secret")


def _decode_key(secret: bytes) -> bytes:
    """Return the key that a secret stands for, empty where it is not the base64 that it claims to be."""
    if not secret.startswith(_KEY_PREFIX):
        return secret
    try:
        return base64.b64decode(secret.removeprefix(_KEY_PREFIX), validate=True)
    except binascii.Error:
        return b""
