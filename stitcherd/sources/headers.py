"""What is read from headers alone: the proof of who sent the body, and the sender's id of the delivery."""

import hmac
from collections.abc import Mapping, Sequence

from stitcherd import hashing
from stitcherd.sources.source import BadSignature, ExternalId, Verify

LONGEST_ID = 255


def hmac_sha256(*names: str, prefix: str = "") -> Verify:
    """Return a check of the first header of `names` that is there: `prefix`, then the body's HMAC-SHA256 in hex.

    Without any header, with an empty one, or with only an older, weaker one, nothing matches.
    """

    def verify(headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], _now: int = 0, /) -> int:
        header = next((name for name in names if name in headers), None)
        if header is None:
            raise BadSignature(f"{names[0]} is missing")
        claim = headers[header].lower().encode(errors="replace")  # servers hand on odd bytes as lone surrogates
        for number, secret in enumerate(secrets, start=1):
            proof = prefix + hashing.hmac_sha256(secret, body).hex()
            if secret and hmac.compare_digest(claim, proof.encode()):
                return number
        raise BadSignature(f"{header} matches no secret")

    return verify


def id_from(*names: str) -> ExternalId:
    """Return a reader of the id in the first header of `names` that has one.

    One that is empty, overlong or unprintable counts as none.
    """

    def external_id(headers: Mapping[str, str], /) -> str | None:
        given = (headers.get(name, "").strip() for name in names)
        return next(filter(_sane, given), None)

    return external_id


def _sane(text: str) -> bool:
    return 0 < len(text) <= LONGEST_ID and text.isascii() and text.isprintable()
