"""Secrets are masked, however the output is cut into pieces."""

from itertools import pairwise
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from stitcherd.jobs.redaction import REDACTION_MASK, RedactedStream, Redaction

SECRETS = (b"hunter2", b"hunter2-and-more", b"2-and-less", b"s3cr\xc3\xa9t")
letters = st.lists(
    st.sampled_from([*SECRETS, b"hunter", b"2", b"-and", b"-", b"more", b"s3cr", b"\xc3", b"\xa9t", b" ", b"\n"]),
    max_size=12,
).map(b"".join)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    positions = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(positions)]


@settings(deadline=None)
@given(letters, st.lists(st.integers(0, 10**6), max_size=8))
@example(b"hunter2-and-more", [7])
@example(b"hunter2-and-less", [7])
def test_masked_pieces_equal_the_masked_whole(data: bytes, cuts: list[int]) -> None:
    redaction = Redaction(SECRETS)
    stream = RedactedStream(redaction)
    shown = b"".join(stream.feed(piece) for piece in pieces(data, cuts)) + stream.end()
    assert shown == redaction.mask(data)
    assert not any(secret in shown.replace(REDACTION_MASK, b"\0") for secret in SECRETS)


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=5), min_size=1, max_size=4), st.binary(max_size=40))
def test_output_byte_by_byte_is_masked_alike(secrets: list[bytes], data: bytes) -> None:
    redaction = Redaction(secrets)
    stream = RedactedStream(redaction)
    assert b"".join(stream.feed(bytes([byte])) for byte in data) + stream.end() == redaction.mask(data)


def test_only_a_possible_secret_is_held_back() -> None:
    stream = RedactedStream(Redaction(SECRETS))
    assert stream.feed(b"all is well\n") == b"all is well\n"
    assert stream.feed(b"a hunt") == b"a "
    assert stream.feed(b" for bug\n") == b"hunt for bug\n"
    assert RedactedStream(Redaction(())).feed(b"hunter2") == b"hunter2"


@settings(deadline=None)
@given(st.text(st.characters(codec=None)))
def test_masked_text_can_always_be_encoded(text: str) -> None:
    Redaction(SECRETS).mask_text(text).encode()


def test_texts_and_payloads_are_masked() -> None:
    redaction = Redaction(SECRETS)
    assert redaction.mask_text("pass hunter2, or s3crét") == "pass [secret], or [secret]"
    payload: dict[str, Any] = {"args": ["-p", "hunter2"], "hunter2": {"n": 1, "on": True, "none": None}}
    assert redaction.mask_payload(payload) == {
        "args": ["-p", "[secret]"],
        "[secret]": {"n": 1, "on": True, "none": None},
    }
