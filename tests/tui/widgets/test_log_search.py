"""What is looked for in a long text is found however it is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.widgets import log_search
from tui.widgets.log_search import LineFilter, search_log
from tui.widgets.log_text import LogTimes, ReadRange


def _reader(content: bytes) -> ReadRange:
    def read(span: str) -> tuple[bytes, int]:
        first, _, last = span.partition("-")
        return content[int(first) : int(last) + 1], len(content)

    return read


TEXTS = st.lists(st.sampled_from([b"ab", b"A", b"\n", b"b", b"xyz", b"\r"]), max_size=60).map(b"".join)


@given(TEXTS, st.lists(st.integers(1, 9), min_size=1, max_size=40))
def test_a_sieve_holds_every_line_with_the_text_however_it_comes(content: bytes, sizes: list[int]) -> None:
    sieve, at = LineFilter(b"ab"), 0
    while at < len(content):
        size = sizes[at % len(sizes)]
        sieve.feed(content[at : at + size])
        at += size
    starts, lines = 0, []
    for line in content.split(b"\n"):
        lines += [(starts, line)] if b"ab" in line.lower() else []
        starts += len(line) + 1
    assert [(offset, line.rstrip(b"\n")) for offset, line in (sieve[at] for at in range(len(sieve)))] == lines


@given(TEXTS, st.integers(0, 80), st.booleans(), st.integers(1, 7))
def test_a_search_finds_the_nearest_place(content: bytes, start: int, backward: bool, scan: int) -> None:
    start = min(start, len(content))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_search, "SCAN", scan + 1)
        found = search_log(_reader(content), b"ab", start, backward=backward)
    low = content.lower()
    wanted = low.rfind(b"ab", 0, start + 1) if backward else low.find(b"ab", start)
    assert found == (wanted if wanted >= 0 else None)


def test_a_text_that_became_shorter_is_looked_through_anew() -> None:
    sieve = LineFilter(b"a")
    while not sieve.done:
        sieve.read(_reader(b"a\na\na\n"))
    assert len(sieve) == 3
    for _ in range(2):
        sieve.read(_reader(b"a\n"))
    assert [line for _, line in (sieve[at] for at in range(len(sieve)))] == [b"a\n"]


def test_a_sieve_is_full_some_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_search, "MAX_MATCHES", 10)
    monkeypatch.setattr(log_search, "MAX_LINE", 50)
    sieve = LineFilter(b"a")
    sieve.feed(b"x" * 60 + b"a" * 60)  # a line without an end
    assert len(sieve) == 1
    sieve.feed(b"\n" + b"a\n" * 100)
    assert (len(sieve), sieve.full, sieve.done) == (10, True, True)


@pytest.mark.parametrize(("offset", "when"), [(0, "one"), (9, "one"), (10, "two"), (24, "two"), (25, "")], ids=str)
def test_bytes_have_the_time_of_the_event_that_tells_of_them(offset: int, when: str) -> None:
    clock = LogTimes()
    assert clock.at(0) == ""
    clock.add(25, "two")
    clock.add(10, "one")
    assert clock.at(offset) == when
