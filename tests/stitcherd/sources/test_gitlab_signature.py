"""Verification of GitLab webhooks by token or signature."""

import base64
import hmac
from collections.abc import Mapping

import pytest
from multidict import CIMultiDict

from stitcherd.sources import SOURCES, BadSignature

GITLAB = SOURCES["gitlab"]
SECRET = b"It's a Secret to Everybody"
NOW = 1_764_000_000_000


def signed(body: bytes, more: Mapping[str, str], key: bytes = SECRET) -> CIMultiDict[str]:
    proof = hmac.new(key, b"id-1.1764000000." + body, "sha256").digest()
    signature = f"v1,{base64.b64encode(proof).decode()}"
    three = {"webhook-id": "id-1", "webhook-timestamp": "1764000000", "webhook-signature": signature}
    return CIMultiDict({**three, **more})


def test_a_token_is_compared_as_bytes() -> None:
    secret = "zwölf\udcff".encode(errors="surrogateescape")
    headers = CIMultiDict({"X-Gitlab-Token": secret.decode(errors="surrogateescape")})
    assert GITLAB.verify(headers, b"", [b"old", secret]) == 2
    for claim in ("", "zw", "zwölf", "zwölf?", "\ud800", "It's a Secret to Everybody "):
        with pytest.raises(BadSignature, match=r"^X-Gitlab-Token matches no secret$"):
            GITLAB.verify(CIMultiDict({"X-Gitlab-Token": claim}), b"", [secret, SECRET, b""])


def test_a_signing_token_is_a_base64_key() -> None:
    secret = b"whsec_" + base64.b64encode(b"k" * 32)
    assert GITLAB.verify(signed(b"{}", {}, b"k" * 32), b"{}", [SECRET, secret], NOW) == 2


def test_with_a_signature_the_token_is_ignored() -> None:
    token = {"X-Gitlab-Token": SECRET.decode()}
    assert GITLAB.verify(signed(b"{}", token), b"{}", [SECRET], NOW) == 1
    for body, now in ((b"{ }", NOW), (b"{}", NOW + 300_001)):
        with pytest.raises(BadSignature, match=r"^webhook-"):
            GITLAB.verify(signed(b"{}", token), body, [SECRET], now)
    for claim in ("", "v1,", "v1a,x"):
        with pytest.raises(BadSignature, match=r"^webhook-signature matches no secret$"):
            GITLAB.verify(signed(b"{}", {**token, "webhook-signature": claim}), b"{}", [SECRET], NOW)


def test_a_delivery_keeps_its_id_when_repeated() -> None:
    assert GITLAB.external_id(CIMultiDict({"Idempotency-Key": "k", "webhook-id": "w"})) == "k"
    assert GITLAB.external_id(CIMultiDict({"Idempotency-Key": "", "webhook-id": "w"})) == "w"
    assert GITLAB.external_id(CIMultiDict({"X-Gitlab-Event-UUID": "u"})) is None  # hooks of hooks share it
    assert (GITLAB.id_is_signed, GITLAB.body_window) == (False, None)
