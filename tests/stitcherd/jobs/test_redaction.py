"""Secrets are masked, in every usual form, however the output is cut into pieces."""

import base64
import json
import textwrap
import urllib.parse
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
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


def test_a_token_that_is_minted_later_is_masked_from_then_on_and_after_it_is_forgotten() -> None:
    minted = {b"minted-before"}
    redaction = Redaction([b"configured"], lambda: frozenset(minted))
    stream = RedactedStream(redaction)
    assert redaction.mask(b"minted-before configured minted-later") == b"[secret] [secret] minted-later"
    minted.add(b"minted-later")
    assert stream.feed(b"minted-la") == b""
    minted.clear()
    assert stream.feed(b"ter configured") + stream.end() == b"[secret] [secret]"
    assert redaction.occurs_in([b"x minted-", b"later"])
    assert redaction.mask_text("minted-before") == "[secret]"


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


KEY = b's3cr\xc3\xa9t/key+"of?an agent\\with-40_characters'
ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "base64": base64.b64encode,
    "base64 at the second position": lambda key: base64.b64encode(b"x" + key + b"y"),
    "base64 at the third position": lambda key: base64.b64encode(b"xy" + key + b"z"),
    "urlsafe base64": lambda key: base64.urlsafe_b64encode(b"KEY=" + key),
    "base64 without padding": lambda key: base64.b64encode(b"12" + key).rstrip(b"="),
    "hex": lambda key: key.hex().encode(),
    "upper-case hex": lambda key: key.hex().upper().encode(),
    "JSON": lambda key: json.dumps({"key": key.decode()}).encode(),
    "JSON in UTF-8": lambda key: json.dumps([key.decode()], ensure_ascii=False).encode(),
    "JSON with escaped slashes": lambda key: json.dumps(key.decode()).replace("/", "\\/").encode(),
    "a URL": lambda key: urllib.parse.quote(key).encode(),
    "a query": lambda key: urllib.parse.urlencode({"key": key}).encode(),
    "a lower-case URL": lambda key: urllib.parse.quote(key, safe="").lower().encode(),
}
WRAPPED = ("base64", "base64 at the second position", "base64 at the third position", "hex")


def longest_common(one: bytes, other: bytes) -> int:
    """Return the length of the longest text that both contain."""
    return max(
        (size for at in range(len(one)) for size in range(len(one) - at + 1) if one[at : at + size] in other), default=0
    )


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_usual_encodings_are_masked(encoding: str) -> None:
    key = KEY if "lower" not in encoding else KEY.lower()
    encoded = ENCODINGS[encoding](key)
    masked = Redaction([key]).mask(b"before " + encoded + b" after")
    assert REDACTION_MASK in masked
    assert masked.startswith(b"before ")
    assert masked.endswith(b" after")
    # What is left of base64 are the characters that hold bits of its neighbours.
    assert longest_common(encoded, masked.replace(b"before ", b"").replace(b" after", b"")) < 10


@pytest.mark.parametrize("encoding", WRAPPED)
@pytest.mark.parametrize("width", [4, 7, 20, 60])
@pytest.mark.parametrize("mark", ["", "+", "    ", "> ", "\r"])
def test_an_encoding_over_several_lines_is_masked(encoding: str, width: int, mark: str) -> None:
    lines = textwrap.wrap(ENCODINGS[encoding](b"AB" + KEY + b"CDE").decode(), width)
    text = "".join(f"{mark}{line}\n" for line in lines) if mark != "\r" else "\r\n".join(lines)
    redaction = Redaction([KEY])
    masked = redaction.mask(text.encode())
    assert masked.count(REDACTION_MASK) == 1
    assert len("".join(masked.decode().split())) < 30
    assert redaction.occurs_in([text[:40].encode(), text[40:].encode()])


wrapped_output = st.lists(
    st.sampled_from(
        [
            *(base64.b64encode(b"x" * before + KEY)[at : at + 9] for before in range(3) for at in range(0, 60, 9)),
            *(KEY.hex().encode()[at : at + 9] for at in range(0, 80, 9)),
            *(b"\n", b"\r\n", b"+", b"-", b" ", b"> ", b"\n+", b"", KEY[:20], KEY[20:]),
        ]
    ),
    max_size=40,
).map(b"".join)


@settings(deadline=None, max_examples=300)
@given(wrapped_output, st.lists(st.integers(0, 10**6), max_size=8))
def test_masked_pieces_equal_the_masked_whole_over_several_lines(data: bytes, cuts: list[int]) -> None:
    redaction = Redaction([KEY, b"+another/secret+", b"------"])
    stream = RedactedStream(redaction)
    shown = b"".join(stream.feed(piece) for piece in pieces(data, cuts)) + stream.end()
    assert shown == redaction.mask(data)


@settings(deadline=None)
@given(st.integers(0, 2), st.integers(3, 90), st.lists(st.integers(0, 10**6), max_size=8))
def test_a_wrapped_secret_is_masked_in_a_stream(before: int, width: int, cuts: list[int]) -> None:
    encoded = base64.b64encode(b"y" * before + KEY)
    text = b"start\n" + b"\n".join(encoded[at : at + width] for at in range(0, len(encoded), width)) + b"\nend\n"
    stream = RedactedStream(Redaction([KEY]))
    shown = b"".join(stream.feed(piece) for piece in pieces(text, cuts)) + stream.end()
    assert shown.startswith(b"start\n")
    assert len(shown) < len(b"start\nend\n") + 20


def test_little_is_held_back_of_ordinary_lines() -> None:
    stream = RedactedStream(Redaction([KEY]))
    for line in (b"all is well\n", b"s3\n", b"\n" * 5000, b"4\n"):
        assert stream.feed(line) == line


def test_a_secret_in_pieces_is_found_wherever_it_is_cut() -> None:
    redaction = Redaction([KEY])
    for cut in range(1, len(KEY)):
        assert redaction.occurs_in([b"x" * 5000 + KEY[:cut], KEY[cut:] + b"y" * 5000])
    assert not redaction.occurs_in([b"x" * 5000 + KEY[:-1], b"y" * 5000])
    assert not Redaction(()).occurs_in([KEY])
