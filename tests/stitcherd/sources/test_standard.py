"""Verification of Standard Webhooks."""

import base64
import hmac
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from stitcherd.sources import SOURCES, BadSignature
from stitcherd.sources.trigger import Command

STANDARD = SOURCES["standard"]
DELIVERIES = Path(__file__).parents[2] / "deliveries" / "standard"
KEY = bytes(range(24))
SECRET = b"whsec_" + base64.b64encode(KEY)
NOW = 1_764_000_000_000
BODY = b'{"issueNumber": "1"}'


def signature(key: bytes, body: bytes, identifier: str = "msg_1", seconds: str = "1764000000") -> str:
    signed = f"{identifier}.{seconds}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, "sha256").digest()).decode()


def headers(claim: str, identifier: str = "msg_1", seconds: str = "1764000000") -> CIMultiDict[str]:
    return CIMultiDict({"webhook-id": identifier, "webhook-timestamp": seconds, "webhook-signature": claim})


def test_the_published_vector() -> None:
    published = headers("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330")
    secret, body, when = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}', 1_614_265_330_000
    assert STANDARD.verify(published, body, [b"other", secret], when) == 2
    with pytest.raises(BadSignature, match=r"^webhook-signature matches no secret$"):
        STANDARD.verify(published, body + b" ", [secret], when)


@given(key=st.binary(min_size=1), body=st.binary())
def test_a_secret_is_raw_or_base64(key: bytes, body: bytes) -> None:
    encoded = b"whsec_" + base64.b64encode(key)
    if not key.startswith(b"whsec_"):
        assert STANDARD.verify(headers(signature(key, body)), body, [encoded, key], NOW) == 1
        assert STANDARD.verify(headers(signature(key, body)), body, [key], NOW) == 1
    with pytest.raises(BadSignature):
        STANDARD.verify(headers(signature(encoded, body)), body, [encoded], NOW)


@pytest.mark.parametrize("secret", [b"whsec_", b"whsec_!", b"whsec_YQ", b"whsec_YQ== ", b"whsec_\xff", b""])
def test_an_invalid_base64_secret_matches_nothing(secret: bytes) -> None:
    for key in (secret, b"", b"a", secret.removeprefix(b"whsec_")):
        with pytest.raises(BadSignature):
            STANDARD.verify(headers(signature(key, BODY)), BODY, [secret], NOW)


def test_any_of_several_signatures_may_match() -> None:
    right, old = signature(KEY, BODY), signature(b"old", BODY)
    for claim in (f"{old} {right}", f"{right} {old}", f"v1a,xyz {right}", f"v1, {right}", f" {right} "):
        assert STANDARD.verify(headers(claim), BODY, [b"x", SECRET], NOW) == 2
    assert STANDARD.verify(headers(f"{right} {old}"), BODY, [b"old", SECRET], NOW) == 1


@pytest.mark.parametrize("change", [",", "\t", "v2", "v1a", "V1"])
def test_only_v1_signatures_separated_by_blanks_count(change: str) -> None:
    right = signature(KEY, BODY)
    claim = f"v1,x{change}{right}" if change in {",", "\t"} else right.replace("v1", change, 1)
    with pytest.raises(BadSignature, match=r"^webhook-signature matches no secret$"):
        STANDARD.verify(headers(claim), BODY, [SECRET], NOW)


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_each_of_the_three_headers_is_required(missing: str) -> None:
    some = headers(signature(KEY, BODY))
    del some[missing]
    with pytest.raises(BadSignature, match=rf"^{missing} is missing$"):
        STANDARD.verify(some, BODY, [SECRET], NOW)


@pytest.mark.parametrize(("late", "good"), [(300_000, True), (-300_000, True), (300_001, False), (-300_001, False)])
def test_the_tolerance_is_five_minutes(late: int, good: bool) -> None:
    made = headers(signature(KEY, BODY))
    if good:
        assert STANDARD.verify(made, BODY, [SECRET], NOW + late) == 1
        return
    with pytest.raises(BadSignature, match=r"^webhook-timestamp is more than five minutes off"):
        STANDARD.verify(made, BODY, [SECRET], NOW + late)


def test_without_a_clock_everything_is_refused() -> None:
    with pytest.raises(BadSignature, match="five minutes"):
        STANDARD.verify(headers(signature(KEY, BODY)), BODY, [SECRET])


@pytest.mark.parametrize(
    "seconds", ["", "-1", "1764000000.0", "17e8", " 1764000000", "\u0661", "9" * 5000, "\udcff", "²"]
)
def test_the_timestamp_must_be_digits(seconds: str) -> None:
    with pytest.raises(BadSignature, match=r"^webhook-timestamp is not a number"):
        STANDARD.verify(headers("v1,x", seconds=seconds), BODY, [SECRET], NOW)


@pytest.mark.parametrize("identifier", ["", " msg_1", "msg_1 ", "é", "\udcff", "a\x00", "x" * 256])
def test_an_id_that_cannot_be_stored_is_refused_though_signed(identifier: str) -> None:
    claim = signature(KEY, BODY, identifier.encode("utf-8", "replace").decode())
    with pytest.raises(BadSignature, match=r"^webhook-id is not a printable"):
        STANDARD.verify(headers(claim, identifier), BODY, [SECRET], NOW)


def test_the_id_and_the_timestamp_are_signed() -> None:
    claim = signature(KEY, BODY)
    for other in (headers(claim, "msg_2"), headers(claim, seconds="1764000001"), headers(claim, "msg_1.1764000000")):
        with pytest.raises(BadSignature, match=r"^webhook-signature matches no secret$"):
            STANDARD.verify(other, BODY, [SECRET], NOW)


@given(st.text(max_size=40), st.text(max_size=14), st.text(max_size=80), st.binary(max_size=40))
def test_no_headers_raise_anything_else(identifier: str, seconds: str, claim: str, secret: bytes) -> None:
    for some in (headers(claim, identifier, seconds), headers(claim, identifier), headers(claim)):
        with pytest.raises(BadSignature):
            STANDARD.verify(some, BODY, [secret, b"whsec_" + secret], NOW)


def test_the_body_is_parsed_as_mosaic() -> None:
    body = (DELIVERIES / "mentioned.json").read_bytes()
    trigger = STANDARD.parse(CIMultiDict(), body, source="hooks", bot="mosaic")
    assert (trigger.name, trigger.commands) == ("issue.comment", (Command("fix", "the last row"),))
    assert (trigger.sender, trigger.by_source) == ("hooks", True)
    assert trigger == SOURCES["mosaic"].parse({}, body, source="hooks", bot="mosaic")
    assert json.loads(body)["action"] == trigger.action


def test_duplicates_are_recognised_by_id_and_by_body() -> None:
    assert STANDARD.id_is_signed
    assert STANDARD.external_id(headers("v1,x")) == "msg_1"
    assert STANDARD.body_window == SOURCES["mosaic"].body_window == 600_000
