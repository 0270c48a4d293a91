"""Search in a long text, however it is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.widgets import log_search
from tui.widgets.log_search import LineFilter, MatchCounter, search_log
from tui.widgets.log_text import ReadRange


def _reader(content: bytes) -> ReadRange:
    def read(span: str) -> tuple[bytes, int]:
        first, _, last = span.partition("-")
        return content[int(first) : int(last) + 1], len(content)

    return read


TEXTS = st.lists(st.sampled_from([b"ab", b"A", b"\n", b"b", b"xyz", b"\r"]), max_size=60).map(b"".join)


@given(TEXTS, st.lists(st.integers(1, 9), min_size=1, max_size=40))
def test_a_filter_finds_every_matching_line(content: bytes, sizes: list[int]) -> None:
    matches, at = LineFilter(b"ab"), 0
    while at < len(content):
        size = sizes[at % len(sizes)]
        matches.feed(content[at : at + size])
        at += size
    starts, lines = 0, []
    for line in content.split(b"\n"):
        lines += [(starts, line)] if b"ab" in line.lower() else []
        starts += len(line) + 1
    assert [(offset, line.rstrip(b"\n")) for offset, line in (matches[at] for at in range(len(matches)))] == lines


@given(TEXTS, st.integers(0, 80), st.booleans(), st.integers(1, 7))
def test_a_search_finds_the_nearest_occurrence(content: bytes, start: int, backward: bool, scan: int) -> None:
    start = min(start, len(content))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_search, "SCAN", scan + 1)
        found = search_log(_reader(content), b"ab", start, backward=backward)
    low = content.lower()
    wanted = low.rfind(b"ab", 0, start + 1) if backward else low.find(b"ab", start)
    assert found == (wanted if wanted >= 0 else None)


@given(TEXTS, st.integers(1, 7), st.integers(0, 80))
def test_all_occurrences_are_counted_also_while_the_text_grows(content: bytes, scan: int, first: int) -> None:
    counter = MatchCounter(b"ab")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_search, "SCAN", scan)
        for part in (content[:first], content):
            counter.feed(*_reader(part)(counter.next_range))
            while not counter.done:
                counter.feed(*_reader(part)(counter.next_range))
    low = content.lower()
    assert counter.offsets == [at for at in range(len(low)) if low.startswith(b"ab", at)]


def test_a_text_that_became_shorter_is_searched_again() -> None:
    matches = LineFilter(b"a")
    while not matches.done:
        matches.read(_reader(b"a\na\na\n"))
    assert len(matches) == 3
    for _ in range(2):
        matches.read(_reader(b"a\n"))
    assert [line for _, line in (matches[at] for at in range(len(matches)))] == [b"a\n"]


def test_a_filter_stops_when_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_search, "MAX_MATCHES", 10)
    monkeypatch.setattr(log_search, "MAX_LINE", 50)
    matches = LineFilter(b"a")
    matches.feed(b"x" * 60 + b"a" * 60)  # a line without an end
    assert len(matches) == 1
    matches.feed(b"\n" + b"a\n" * 100)
    assert (len(matches), matches.full, matches.done) == (10, True, True)
