"""Senders that follow Standard Webhooks: a Mosaic body, signed together with its id and the time.

Specification: the Standard Webhooks project, "Webhook signature scheme": HMAC-SHA256 over id, time and body, in base64.
"""

import base64
import hmac
from collections.abc import Mapping, Sequence

from shared.signing_keys import signing_key
from stitcherd.sources import mosaic
from stitcherd.sources.base import BadSignature, Source
from stitcherd.sources.payload import JSON, scrub
from stitcherd.sources.signatures import delivery_id_reader, hmac_sha256

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"
TOLERANCE_MS = 300_000

_read_id = delivery_id_reader(ID_HEADER)


def verify(headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now: int = 0, /) -> int:
    """Return the number of the secret that matched, from 1; see `Verify`.

    The signature must have been made within five minutes of `now`.
    """
    for name in (SIGNATURE_HEADER, ID_HEADER, TIMESTAMP_HEADER):
        if name not in headers:
            raise BadSignature(f"{name} is missing")
    identifier, seconds = headers[ID_HEADER], headers[TIMESTAMP_HEADER]
    if _read_id(headers) != identifier:  # a signed id that is not stored would let the delivery be repeated
        raise BadSignature(f"{ID_HEADER} is not a printable ASCII id in a delivery")
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= 12):
        raise BadSignature(f"{TIMESTAMP_HEADER} is not a number of seconds in a delivery")
    if abs(now - int(seconds) * 1000) > TOLERANCE_MS:
        raise BadSignature(f"{TIMESTAMP_HEADER} is more than five minutes off in a delivery")
    given = headers[SIGNATURE_HEADER].encode(errors="replace").split(b" ")
    for number, secret in enumerate(secrets, start=1):
        expected = signature(secret, identifier, seconds, body).encode()
        if signing_key(secret) and any(hmac.compare_digest(each, expected) for each in given):
            return number
    raise BadSignature(f"{SIGNATURE_HEADER} matches no secret")


def signature(secret: bytes, identifier: str, seconds: str, body: bytes) -> str:
    """Return the signature of a body that is sent under an id at a time, in seconds since 1970."""
    signed = f"{identifier}.{seconds}.".encode() + body
    return f"v1,{base64.b64encode(hmac_sha256(signing_key(secret), signed)).decode()}"


SOURCE = Source(
    kind="standard",
    verify=verify,
    parse=mosaic.parse,
    external_id=_read_id,
    scrub=scrub,
    id_is_signed=True,
    body_window=mosaic.REPEAT_WINDOW_MS,
    kept_headers=("Content-Type", "User-Agent", ID_HEADER, TIMESTAMP_HEADER),
    content_types=frozenset({JSON}),
)
