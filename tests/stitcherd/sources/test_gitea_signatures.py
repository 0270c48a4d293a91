"""Signatures and encodings of Gitea webhooks: JSON and forms."""

import hmac
import json
from functools import partial
from urllib.parse import quote, urlencode

import pytest
from multidict import CIMultiDict

from stitcherd.sources import SOURCES, BadSignature
from tests.stitcherd.sources import payloads
from tests.stitcherd.sources.payloads import SECRET

GITEA = SOURCES["gitea"]
FORM = "application/x-www-form-urlencoded"
delivery = partial(payloads.delivery, "gitea")


def test_the_secret_of_an_old_body_is_not_stored() -> None:
    raw = (payloads.DELIVERIES / "gitea" / "issue_comment.created_by_an_old_version.json").read_bytes()
    assert b"12345" in raw
    stored = GITEA.scrub(raw)
    assert b"12345" not in stored
    assert json.loads(stored) == {**json.loads(raw), "secret": "***"}


def signed(payload: bytes, content_type: str) -> CIMultiDict[str]:
    proof = hmac.new(SECRET, payload, "sha256").hexdigest()
    return CIMultiDict({"X-Gitea-Signature": proof, "Content-Type": content_type})


def test_other_signature_headers_are_ignored() -> None:
    proof = hmac.new(SECRET, b"{}", "sha256").hexdigest()
    for headers in ({"X-Hub-Signature-256": f"sha256={proof}"}, {"X-Gogs-Signature": proof}):
        with pytest.raises(BadSignature, match=r"^X-Gitea-Signature is missing$"):
            GITEA.verify(CIMultiDict(headers), b"{}", [SECRET])
    for ours in ("", f"sha256={proof}"):
        with pytest.raises(BadSignature, match=r"^X-Gitea-Signature matches no secret$"):
            GITEA.verify(CIMultiDict({"X-Gitea-Signature": ours, "X-Forgejo-Signature": proof}), b"{}", [SECRET])


def test_a_form_is_signed_over_the_json_in_it() -> None:
    payload = json.dumps(delivery("issue_comment.created")).encode() + b" ~+*"
    form = urlencode({"payload": payload}).encode()
    headers = signed(payload, f"{FORM}; charset=utf-8")
    assert GITEA.verify(headers, form, [b"old", SECRET]) == 2
    whole = signed(form, FORM)
    with pytest.raises(BadSignature, match="matches no secret"):
        GITEA.verify(whole, form, [SECRET])
    with pytest.raises(BadSignature, match="matches no secret"):
        GITEA.verify(signed(payload, "application/json"), form, [SECRET])


def test_a_form_is_parsed_like_its_json() -> None:
    form = urlencode({"payload": json.dumps(delivery("issue_comment.created"))}).encode()
    headers = CIMultiDict({"X-Gitea-Event-Type": "issue_comment"})
    plain = GITEA.parse(headers, json.dumps(delivery("issue_comment.created")).encode(), source="home", bot="mosaic")
    assert plain.commands
    assert GITEA.parse(headers, form, source="home", bot="mosaic", form=True) == plain


@pytest.mark.parametrize(
    "other",
    [
        b"x=1&payload=%7B%22a%22%3A+1%7D",
        b"payload=%7B%22a%22%3A+1%7D&",
        b"payload=%7B%22a%22%3A+1%7D&payload=%7B%7D",
        b"payload=%7b%22a%22%3A+1%7D",
        b"payload=%7B%22a%22%3A%201%7D",
        b'payload={"a":+1}',
        b"payload=" + quote('{"a": 1}').replace("a", "%61").encode(),
        b"",
    ],
)
def test_another_encoding_of_the_same_json_is_refused(other: bytes) -> None:
    payload = b'{"a": 1}'
    headers = signed(payload, FORM)
    assert GITEA.verify(headers, b"payload=%7B%22a%22%3A+1%7D", [SECRET]) == 1
    with pytest.raises(BadSignature, match=r"^X-Gitea-Signature "):
        GITEA.verify(headers, other, [SECRET])
