"""What every kind of sender must do, whoever it is."""

import base64
import hmac
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from stitcherd.sources import SOURCES, BadSignature, NotJson, Source, WrongShape
from stitcherd.trigger import Trigger

DELIVERIES = Path(__file__).parents[1] / "deliveries"
SECRETS = (b"first", b"second", b"It's a Secret to Everybody")
RESERVED = {"authorization", "cookie", "proxy-authorization"}


def hub(header: str) -> Callable[[bytes, bytes], dict[str, str]]:
    return lambda secret, body: {header: "sha256=" + hmac.new(secret, body, "sha256").hexdigest()}


# How each kind signs, written apart from the code that checks it.
SIGN: Mapping[str, Callable[[bytes, bytes], dict[str, str]]] = {
    "github": hub("X-Hub-Signature-256"),
    "mosaic": hub("X-Mosaic-Signature"),
}
EVENTS: Mapping[str, tuple[dict[str, str], ...]] = {
    "github": tuple(
        {"X-GitHub-Event": event}
        for event in (
            "issues",
            "issue_comment",
            "pull_request",
            "pull_request_review",
            "push",
            "status",
            "star",
            "ping",
        )
    ),
    "mosaic": ({},),
}
IDS = {"github": "X-GitHub-Delivery", "mosaic": "X-Mosaic-Delivery"}

every = pytest.mark.parametrize("source", SOURCES.values(), ids=list(SOURCES))

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def bodies(source: Source) -> list[bytes]:
    return [path.read_bytes() for path in sorted((DELIVERIES / source.kind).glob("*.json"))]


def read(source: Source, body: bytes, form: bool = False) -> list[Trigger]:
    """Return what the body says as each event of the source; the named errors are no result."""
    seen = []
    for headers in EVENTS[source.kind]:
        with suppress(NotJson, WrongShape):
            seen.append(source.parse(CIMultiDict(headers), body, source="x", bot="mosaic", form=form))
    return seen


@every
def test_it_is_in_the_table_under_its_kind(source: Source) -> None:
    assert SOURCES[source.kind] is source
    assert bodies(source)
    assert "application/json" in source.content_types


@every
def test_unsigned_is_refused_and_the_header_named(source: Source) -> None:
    (header,) = SIGN[source.kind](b"x", b"")
    with pytest.raises(BadSignature, match=rf"^{header} is missing$"):
        source.verify(CIMultiDict(), b"{}", SECRETS)


@every
def test_each_secret_is_found_by_its_number(source: Source) -> None:
    for body in (b"", b"\xff\x00", *bodies(source)):
        for number, secret in enumerate(SECRETS, start=1):
            signed = {name.upper(): value for name, value in SIGN[source.kind](secret, body).items()}
            assert source.verify(CIMultiDict(signed), body, SECRETS) == number
            for wrong in ((body + b" ", SECRETS), (body, [b"other", b""]), (body, [])):
                with pytest.raises(BadSignature, match=r"matches no secret$"):
                    source.verify(CIMultiDict(signed), *wrong)


@every
def test_an_empty_secret_matches_nothing(source: Source) -> None:
    with pytest.raises(BadSignature):
        source.verify(CIMultiDict(SIGN[source.kind](b"", b"{}")), b"{}", [b""])


@every
@given(claim=st.text() | st.sampled_from(["", "sha256=", "sha1=00", "é" * 64, "\udcff", "sha256=" + "0" * 64, "," * 9]))
def test_an_odd_signature_is_a_bad_signature(source: Source, claim: str) -> None:
    (header,) = SIGN[source.kind](b"x", b"")
    with pytest.raises(BadSignature):
        source.verify(CIMultiDict({header: claim}), b"{}", SECRETS)


GARBAGE: Mapping[str, bytes] = {
    "empty": b"",
    "array": b"[]",
    "text": b'"x"',
    "null": b"null",
    "nan": b'{"x": NaN}',
    "byte order mark": b"\xef\xbb\xbf{}",
    "latin-1": b'{"x": "\xe9"}',
    "lone surrogate": b'{"action": "\\ud800"}',
    "utf-16": '{"x": 1}'.encode("utf-16"),
    "deep array": b'{"x": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "deep object": b'{"x":' * 100_000,
    "trailing": b"{} {}",
}


@every
@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=list(GARBAGE))
def test_garbage_is_not_json_or_of_the_wrong_shape(source: Source, garbage: bytes) -> None:
    assert not read(source, garbage)
    assert not read(source, b"payload=" + garbage, form=True)
    source.scrub(garbage)


@every
@given(body=st.binary(max_size=200), form=st.booleans())
def test_no_bytes_raise_anything_else(source: Source, body: bytes, form: bool) -> None:
    read(source, body, form)
    read(source, b"payload=" + body, form)
    source.scrub(body)
    source.scrub(b"payload=" + body)


@every
@given(data=st.data())
def test_no_value_in_a_good_body_raises_anything_else(source: Source, data: st.DataObject) -> None:
    body = json.loads(data.draw(st.sampled_from(bodies(source))))
    spot: Any = body
    while True:
        key = data.draw(st.sampled_from(sorted(spot)))
        if not isinstance(spot[key], dict) or not spot[key] or data.draw(st.booleans()):
            break
        spot = spot[key]
    spot[key] = data.draw(json_values)
    for trigger in read(source, json.dumps(body).encode()):
        assert trigger.thread is None or 0 < trigger.thread.number < 2**63
        assert trigger.repository is None or trigger.repository.count("/") == 1


@every
def test_a_cut_body_is_not_json(source: Source) -> None:
    for body in bodies(source):
        assert not read(source, body.rstrip()[:-1])


@every
def test_the_id_is_read_or_there_is_none(source: Source) -> None:
    name = IDS[source.kind]
    assert source.external_id(CIMultiDict({name.lower(): "72d3162e-cc78"})) == "72d3162e-cc78"
    assert source.external_id(CIMultiDict()) is None
    for odd in ("", "  ", "x" * 256, "a\x00b", "é", "\udcff"):
        assert source.external_id(CIMultiDict({name: odd})) is None


@every
def test_the_same_bytes_are_a_duplicate_where_the_id_is_not_signed(source: Source) -> None:
    assert source.id_is_signed or source.body_window is None or source.body_window > 0


@every
def test_no_kept_header_holds_a_secret(source: Source) -> None:
    kept = {name.lower() for name in source.kept_headers}
    assert not kept & (RESERVED | {name.lower() for name in SIGN[source.kind](b"x", b"")})
    assert not [name for name in kept if "signature" in name or "token" in name]
    assert IDS[source.kind].lower() in kept


@every
def test_scrubbing_leaves_a_body_without_secrets_to_the_byte(source: Source) -> None:
    for body in bodies(source):
        if b'"secret"' not in body:
            assert source.scrub(body) == body


@every
@given(value=st.text(min_size=1) | st.integers(), rest=json_values, indent=st.sampled_from([None, 2]))
def test_scrubbing_masks_secrets_and_nothing_else(
    source: Source, value: object, rest: object, indent: int | None
) -> None:
    def document(secret: object) -> dict[str, Any]:
        return {"secret": secret, "comment": '"secret": "told"', "rest": rest, "in": [{"token": secret}, "secret"]}

    scrubbed = source.scrub(json.dumps(document(value), indent=indent).encode())
    assert repr(json.loads(scrubbed)) == repr(json.loads(json.dumps(document("***"))))


@every
def test_scrubbing_a_form(source: Source) -> None:
    form = b"a=1&payload=%7B%22secret%22%3A+%22a%26b%22%7D"
    assert source.scrub(form) == b"a=1&payload=%7B%22secret%22%3A+%22%2A%2A%2A%22%7D"
    assert source.scrub(b"payload=%7B%22secrets%22%3A+%22a%22%7D") == b"payload=%7B%22secrets%22%3A+%22a%22%7D"


def test_base64_signatures_are_nobodys_here() -> None:
    proof = base64.b64encode(hmac.digest(SECRETS[0], b"{}", "sha256")).decode()
    for source in SOURCES.values():
        (header,) = SIGN[source.kind](b"x", b"")
        with pytest.raises(BadSignature):
            source.verify(CIMultiDict({header: f"v1,{proof}"}), b"{}", SECRETS)
