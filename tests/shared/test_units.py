import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.units import MAX_BYTES, MAX_SECONDS, format_size, parse_duration, parse_size


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
        ("30 s", "'30 s' contains a space: write 30s"),
        (" 30s", "' 30s' contains a space: write 30s"),
        ("30sec", "'30sec' does not end with a unit of a duration: write it like 500ms, 30s, 10m, 24h or 90d"),
        ("36501d", "'36501d' is longer than 36500d"),
    ],
)
def test_an_invalid_duration_is_explained_in_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        parse_duration(text)


@pytest.mark.parametrize(
    "text", ["", "s", "-1s", "1.5h", "1h30m", "1e3s", "٣s", "30S", "9" * 30 + "s", "999999999999999999d"]
)
def test_a_text_that_is_not_a_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|unit|longer"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["", "64", "64MB", "64mib", "1 GiB", "-1B", "999999999GiB"])
def test_a_text_that_is_not_a_size_is_refused(text: str) -> None:
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
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (10 * 2**20, "10 MiB"),
        (2**30, "1 GiB"),
        (2**50, "1048576 GiB"),
    ],
)
def test_a_size_is_printed_in_its_largest_unit(size: int, text: str) -> None:
    assert format_size(size) == text
