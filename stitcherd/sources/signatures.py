"""Signatures by Standard Webhooks: HMAC-SHA256 over the id, the time and the body, in base64.

Source: the specification of the Standard Webhooks project, "Webhook signature scheme".
"""

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence

from stitcherd import hashing
from stitcherd.sources.headers import id_from
from stitcherd.sources.source import BadSignature

ID = "webhook-id"
TIMESTAMP = "webhook-timestamp"
SIGNATURE = "webhook-signature"
TOLERANCE_MS = 300_000

_ENCODED = b"whsec_"  # what is in base64 after it, is the key
_id = id_from(ID)


def verify(headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now: int = 0, /) -> int:
    """Return which secret matched, from 1, a signature made within five minutes of `now`; see `Verify`."""
    for name in (SIGNATURE, ID, TIMESTAMP):
        if name not in headers:
            raise BadSignature(f"{name} is missing")
    identifier, seconds = headers[ID], headers[TIMESTAMP]
    if _id(headers) != identifier:  # one that is signed but not kept would never be known again
        raise BadSignature(f"{ID} is no id of printable ASCII in a delivery")
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= 12):
        raise BadSignature(f"{TIMESTAMP} is no number of seconds in a delivery")
    if abs(now - int(seconds) * 1000) > TOLERANCE_MS:
        raise BadSignature(f"{TIMESTAMP} is more than five minutes off in a delivery")
    signed = f"{identifier}.{seconds}.".encode() + body
    claims = headers[SIGNATURE].encode(errors="replace").split(b" ")
    for number, secret in enumerate(secrets, start=1):
        key = _key(secret)
        proof = b"v1," + base64.b64encode(hashing.hmac_sha256(key, signed))
        if key and any(hmac.compare_digest(claim, proof) for claim in claims):
            return number
    raise BadSignature(f"{SIGNATURE} matches no secret")


def _key(secret: bytes) -> bytes:
    """Return the key that a secret stands for, empty where it is not the base64 that it claims to be."""
    if not secret.startswith(_ENCODED):
        return secret
    try:
        return base64.b64decode(secret.removeprefix(_ENCODED), validate=True)
    except binascii.Error:
        return b""
