"""Durations, sizes and the nearest word."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.suggest import nearest
from shared.units import MAX_BYTES, MAX_SECONDS, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("30s", 30), ("10m", 600), ("24h", 86400), ("90d", 7_776_000), ("0s", 0), ("007s", 7)],
)
def test_a_duration_is_a_number_of_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "total"), [("1000B", 1000), ("512KiB", 2**19), ("64MiB", 2**26), ("1GiB", 2**30), ("0B", 0)]
)
def test_a_size_is_a_number_of_bytes(text: str, total: int) -> None:
    assert parse_size(text) == total


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("30", "'30' has no unit: write a duration like 500ms, 30s, 10m, 24h or 90d"),
        ("30 s", "'30 s' has a space in it: write 30s"),
        (" 30s", "' 30s' has a space in it: write 30s"),
        ("30sec", "'30sec' has no unit of a duration: write it like 500ms, 30s, 10m, 24h or 90d"),
        ("36501d", "'36501d' is longer than 36500d"),
    ],
)
def test_a_wrong_duration_is_told_in_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        parse_duration(text)


@pytest.mark.parametrize(
    "text", ["", "s", "-1s", "1.5h", "1h30m", "1e3s", "٣s", "30S", "9" * 30 + "s", "999999999999999999d"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|unit|longer"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["", "64", "64MB", "64mib", "1 GiB", "-1B", "999999999GiB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"size|unit|space|bigger"):
        parse_size(text)


@given(st.text())
def test_any_text_is_a_bounded_amount_or_a_value_error(text: str) -> None:
    for read, most in ((parse_duration, MAX_SECONDS), (parse_size, MAX_BYTES)):
        try:
            amount = read(text)
        except ValueError as error:
            assert len(str(error)) < 400  # noqa: PT017 (most texts raise, some need not)
        else:
            assert 0 <= amount <= most


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("worker", "workers"),
        ("Worker", "workers"),
        ("workers", "workers"),
        ("grcae", "grace"),
        ("xyz", None),
        ("", None),
        ("workers" * 50, None),
    ],
)
def test_the_nearest_word_is_near_or_none(word: str, found: str | None) -> None:
    assert nearest(word, ["grace", "workers", "log_max"]) == found


def test_the_nearest_word_is_as_it_is_spelled() -> None:
    assert nearest("anthropic_api_keys", ["ANTHROPIC_API_KEY"]) == "ANTHROPIC_API_KEY"
    assert nearest("a", []) is None
