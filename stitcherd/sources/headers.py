"""What is read from headers alone: the proof of who sent the body, and the sender's id of the delivery."""

import hmac
from collections.abc import Mapping, Sequence

from stitcherd.sources.source import BadSignature, ExternalId, Verify

LONGEST_ID = 255


def hmac_sha256(header: str, prefix: str) -> Verify:
    """Return a check of `header`, which holds `prefix` and the HMAC-SHA256 of the raw body in hex.

    Without any header, with an empty one, or with only an older, weaker one, nothing matches.
    """

    def verify(headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], _now: int = 0, /) -> int:
        given = headers.get(header)
        if given is None:
            raise BadSignature(f"{header} is missing")
        claim = given.lower().encode(errors="replace")  # servers hand on odd bytes as lone surrogates
        for number, secret in enumerate(secrets, start=1):
            proof = prefix + hmac.digest(secret, body, "sha256").hex()
            if secret and hmac.compare_digest(claim, proof.encode()):
                return number
        raise BadSignature(f"{header} matches no secret")

    return verify


def id_from(header: str) -> ExternalId:
    """Return a reader of the id in `header`; one that is empty, overlong or unprintable counts as none."""

    def external_id(headers: Mapping[str, str], /) -> str | None:
        given = headers.get(header, "").strip()
        sane = 0 < len(given) <= LONGEST_ID and given.isascii() and given.isprintable()
        return given if sane else None

    return external_id
