"""The contract of every webhook sender."""

import base64
import hmac
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from multidict import CIMultiDict

from stitcherd.sources import SOURCES, BadSignature, NotJson, Source, WrongShape
from stitcherd.sources.trigger import Trigger

DELIVERIES = Path(__file__).parents[1] / "deliveries"
NOW = 1_764_000_000_000
SECRETS = (b"first", b"second", b"It's a Secret to Everybody")
RESERVED = {"authorization", "cookie", "proxy-authorization"}


class Scheme(NamedTuple):
    """A way to sign a delivery, written independently of the code that verifies it."""

    header: str
    sign: Callable[[bytes, bytes], dict[str, str]]
    missing: str = ""  # the header named when there is none, if it is another


class Sender(NamedTuple):
    """How a kind of sender signs its deliveries, names their events and numbers them."""

    schemes: tuple[Scheme, ...]
    id_headers: tuple[str, ...]
    event_header: str = ""
    events: tuple[str, ...] = ()

    def event_headers(self) -> tuple[dict[str, str], ...]:
        return tuple({self.event_header: event} for event in self.events) or ({},)


def digest(secret: bytes, body: bytes) -> bytes:
    return hmac.new(secret, body, "sha256").digest()


def standard(secret: bytes, body: bytes) -> dict[str, str]:
    signed = b".".join([b"msg_1", str(NOW // 1000).encode(), body])
    signature = "v1," + base64.b64encode(digest(secret, signed)).decode()
    return {"webhook-id": "msg_1", "webhook-timestamp": str(NOW // 1000), "webhook-signature": signature}


def token(secret: bytes, _body: bytes) -> dict[str, str]:
    return {"X-Gitlab-Token": secret.decode()}


def hexed(header: str, prefix: str = "") -> Callable[[bytes, bytes], dict[str, str]]:
    return lambda secret, body: {header: prefix + digest(secret, body).hex()}


SENDERS: Mapping[str, Sender] = {
    "gitea": Sender(
        (
            Scheme("X-Gitea-Signature", hexed("X-Gitea-Signature")),
            Scheme("X-Forgejo-Signature", hexed("X-Forgejo-Signature"), "X-Gitea-Signature"),
        ),
        ("X-Gitea-Delivery", "X-Forgejo-Delivery"),
        "X-Gitea-Event-Type",
        (
            *("issues", "issue_comment", "pull_request_comment", "pull_request_sync", "pull_request_review_approved"),
            *("push", "status", "workflow_run", "repository"),
        ),
    ),
    "github": Sender(
        (Scheme("X-Hub-Signature-256", hexed("X-Hub-Signature-256", "sha256=")),),
        ("X-GitHub-Delivery",),
        "X-GitHub-Event",
        ("issues", "issue_comment", "pull_request", "pull_request_review", "push", "status", "star", "ping"),
    ),
    "gitlab": Sender(
        (Scheme("X-Gitlab-Token", token), Scheme("webhook-signature", standard, "X-Gitlab-Token")),
        ("Idempotency-Key", "webhook-id"),
        "X-Gitlab-Event",
        ("Note Hook",),
    ),
    "mosaic": Sender((Scheme("X-Mosaic-Signature", hexed("X-Mosaic-Signature", "sha256=")),), ("X-Mosaic-Delivery",)),
    "standard": Sender((Scheme("webhook-signature", standard),), ("webhook-id",)),
}
SCHEMES = [(kind, scheme) for kind in SOURCES for scheme in SENDERS[kind].schemes]

every = pytest.mark.parametrize("source", SOURCES.values(), ids=list(SOURCES))
every_scheme = pytest.mark.parametrize(
    ("kind", "scheme"), SCHEMES, ids=[f"{kind} {scheme.header}" for kind, scheme in SCHEMES]
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def bodies(source: Source) -> list[bytes]:
    return [path.read_bytes() for path in sorted((DELIVERIES / source.kind).glob("*.json"))]


def read(source: Source, body: bytes, form: bool = False) -> list[Trigger]:
    """Return the triggers of the body as each event of the source, as far as it can be read."""
    triggers, faults = [], []
    for headers in SENDERS[source.kind].event_headers():
        try:
            triggers.append(source.parse(CIMultiDict(headers), body, source="x", bot="mosaic", form=form))
        except NotJson:
            continue
        except WrongShape as error:
            faults.append(error)
    for fault in faults:
        assert "regex" not in str(fault)
        if fault.trigger is not None:
            assert fault.may_be
            assert fault.trigger.name is None or fault.trigger.name in fault.may_be
            triggers.append(fault.trigger)
    return triggers


@every
def test_the_table_lists_it_under_its_kind(source: Source) -> None:
    assert SOURCES[source.kind] is source
    assert bodies(source)
    assert "application/json" in source.content_types


@every_scheme
def test_a_missing_signature_is_refused_by_header_name(kind: str, scheme: Scheme) -> None:
    rest = {name: value for name, value in scheme.sign(b"x", b"{}").items() if name != scheme.header}
    with pytest.raises(BadSignature, match=rf"^{scheme.missing or scheme.header} is missing$"):
        SOURCES[kind].verify(CIMultiDict(rest), b"{}", SECRETS, NOW)


@every_scheme
def test_the_matching_secret_is_returned_by_number(kind: str, scheme: Scheme) -> None:
    verify = SOURCES[kind].verify
    for body in (b"", b"\xff\x00", *bodies(SOURCES[kind])):
        for number, secret in enumerate(SECRETS, start=1):
            signed = CIMultiDict({name.upper(): value for name, value in scheme.sign(secret, body).items()})
            assert verify(signed, body, SECRETS, NOW) == number
            wrong: list[tuple[bytes, list[bytes]]] = [(body, [b"other", b""]), (body, [])]
            if scheme.header != "X-Gitlab-Token":  # which says nothing of the body
                wrong.append((body + b" ", [*SECRETS]))
            for other, secrets in wrong:
                with pytest.raises(BadSignature, match=r"matches no secret$"):
                    verify(signed, other, secrets, NOW)


@every_scheme
def test_an_empty_secret_matches_nothing(kind: str, scheme: Scheme) -> None:
    for empty in (b"", b"whsec_"):
        with pytest.raises(BadSignature):
            SOURCES[kind].verify(CIMultiDict(scheme.sign(b"", b"{}")), b"{}", [empty], NOW)


@every_scheme
@given(claim=st.text() | st.sampled_from(["", "sha256=", "sha1=00", "é" * 64, "\udcff", "\ud800", "0" * 64, "v1," * 9]))
def test_an_arbitrary_signature_is_refused(kind: str, scheme: Scheme, claim: str) -> None:
    with pytest.raises(BadSignature):
        SOURCES[kind].verify(CIMultiDict({**scheme.sign(b"x", b"{}"), scheme.header: claim}), b"{}", SECRETS, NOW)


@every_scheme
def test_a_signature_of_another_scheme_is_refused(kind: str, scheme: Scheme) -> None:
    proof = digest(SECRETS[0], b"{}")
    right = scheme.sign(SECRETS[0], b"{}")
    claims = {f"v1,{base64.b64encode(proof).decode()}", f"sha256={proof.hex()}", proof.hex(), SECRETS[0].decode()}
    for claim in claims - {right[scheme.header]}:
        with pytest.raises(BadSignature):
            SOURCES[kind].verify(CIMultiDict({**right, scheme.header: claim}), b"{}", SECRETS, NOW)


GARBAGE: Mapping[str, bytes] = {
    "empty": b"",
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
def test_garbage_is_refused(source: Source, garbage: bytes) -> None:
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
def test_no_value_in_a_valid_body_raises_anything_else(source: Source, data: st.DataObject) -> None:
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
        nested = source.kind == "gitlab"  # groups in groups
        assert trigger.repository is None or trigger.repository.count("/") == 1 or nested


@every
@given(body=json_values | st.dictionaries(st.sampled_from(["action", "issue", "object_kind", "sender"]), json_values))
def test_something_of_any_json_can_be_recorded(source: Source, body: Any) -> None:
    text = json.dumps(body)
    assume("NaN" not in text)
    assume("Infinity" not in text)
    assert len(read(source, text.encode())) == len(SENDERS[source.kind].event_headers())


@every
def test_a_truncated_body_is_refused(source: Source) -> None:
    for body in bodies(source):
        assert not read(source, body.rstrip()[:-1])


@every
def test_the_delivery_id_is_read_if_valid(source: Source) -> None:
    for name in SENDERS[source.kind].id_headers:
        assert source.external_id(CIMultiDict({name.lower(): "72d3162e-cc78"})) == "72d3162e-cc78"
        for odd in ("", "  ", "x" * 256, "a\x00b", "é", "\udcff"):
            assert source.external_id(CIMultiDict({name: odd})) is None
    assert source.external_id(CIMultiDict()) is None


@every
def test_unsigned_ids_require_a_body_window(source: Source) -> None:
    assert source.id_is_signed or source.body_window is None or source.body_window > 0


@every
def test_no_kept_header_holds_a_secret(source: Source) -> None:
    kept = {name.lower() for name in source.kept_headers}
    assert not kept & (RESERVED | {scheme.header.lower() for _, scheme in SCHEMES})
    assert not [name for name in kept if "signature" in name or "token" in name]
    assert {name.lower() for name in SENDERS[source.kind].id_headers} <= kept


@every
def test_scrubbing_leaves_a_body_without_secrets_unchanged(source: Source) -> None:
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


@every
@pytest.mark.parametrize("filling", [b'{"object_kind":', b'"secret":', b'"secret": "\\', b"payload=%7B&", b"+", b"%41"])
def test_a_large_body_is_processed_in_linear_time(source: Source, filling: bytes) -> None:
    def spent(size: int) -> float:
        body = filling * (size // len(filling))
        headers = CIMultiDict({"Content-Type": "application/x-www-form-urlencoded", **standard(b"x", b"")})
        headers.extend({scheme.header: "0" for _, scheme in SCHEMES if scheme.header not in headers})
        began = process_time()
        for each in (body, b"payload=" + body):
            read(source, each)
            read(source, each, form=True)
            source.scrub(each)
            with suppress(BadSignature):
                source.verify(headers, each, SECRETS, NOW)
        return process_time() - began

    assert spent(1 << 20) < 5  # quadratic work on a MiB takes minutes
