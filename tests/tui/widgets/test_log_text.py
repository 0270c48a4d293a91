"""A long text of which only a part is loaded: what is visible is what is there."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tui.widgets import log_text
from tui.widgets.log_text import ByteRange, LogText, LogTimes, log_line


def _read(content: bytes, span: ByteRange) -> tuple[bytes, int]:
    if span.first is None or span.end is None:
        return content[-log_text.CHUNK :], len(content)
    return content[span.first : span.end], len(content)


def _settle(text: LogText, content: bytes, first: int, last: int) -> int:
    moved = 0
    for _ in range(1000):
        span = text.next_read(first + moved, last + moved)
        if span is None:
            return moved
        moved += text.insert(span, *_read(content, span))
    raise AssertionError("it never stops reading")


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_text, "CHUNK", 1000)
    monkeypatch.setattr(log_text, "MAX_LOADED", 20_000)
    monkeypatch.setattr(log_text, "MARGIN", 10)
    monkeypatch.setattr(log_text, "LINE", 100)


LONG = b"".join(b"line %06d\n" % number for number in range(20_000))


def test_a_text_opens_at_its_end_with_one_read() -> None:
    text = LogText()
    span = text.next_read(0, 0)
    assert span == ByteRange(None, None)
    text.insert(span, *_read(LONG, span))
    assert text.lines[-1] == b"line 019999\n"
    assert text.lines[0].startswith(b"line ")
    assert text.offset(len(text.lines)) == len(LONG)


def test_scrolling_up_to_the_beginning_with_a_part_loaded() -> None:
    text = LogText()
    _settle(text, LONG, 0, 0)
    top = 0
    while text.start:
        top = max(top - 5, 0)
        top += _settle(text, LONG, top, top + 20)
        assert sum(map(len, text.lines)) == text.end - text.start <= 20_000
    assert text.lines[0] == b"line 000000\n"


def test_a_text_grows() -> None:
    text = LogText()
    _settle(text, b"a\nb", 0, 10)
    assert text.lines == [b"a\n", b"b"]
    more = b"a\nbc\nd\n"
    text.insert(text.growth, more[text.end :], len(more))
    assert text.lines == [b"a\n", b"bc\n", b"d\n"]


def test_a_text_that_became_shorter_is_loaded_again() -> None:
    text = LogText()
    _settle(text, b"a\nb\n", 0, 10)
    text.insert(text.growth, b"", 2)
    _settle(text, b"x\n", 0, 10)
    assert text.lines == [b"x\n"]


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"x" * 15_000, b"\r\n\r\n", b"\xff\xfe\n" * 10],
    ids=["empty", "a line end", "one long line", "carriage returns", "no UTF-8"],
)
def test_texts_of_unusual_shapes(content: bytes) -> None:
    text = LogText()
    _settle(text, content, 0, 500)
    assert b"".join(text.lines) == content[text.start :]
    assert all(len(line) <= log_text.LINE for line in text.lines)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=60), max_size=300), st.data())
def test_the_loaded_lines_are_a_part_of_the_text(parts: list[bytes], data: st.DataObject) -> None:
    content = b"\n".join(parts)
    text = LogText()
    top = 0
    for _ in range(data.draw(st.integers(1, 6))):
        if data.draw(st.booleans()):
            offset = data.draw(st.integers(0, len(content)))
            text.seek(offset)
            top = 0
            text.size = len(content)
        top = max(0, top + data.draw(st.integers(-40, 40)))
        top = max(0, top + _settle(text, content, top, top + 20))
        loaded = b"".join(text.lines)
        assert loaded == content[text.start : text.end]
        assert text.start == 0 or not loaded or content[text.start - 1 : text.start] == b"\n" or text.end > text.start
        for line in range(len(text.lines)):
            at = text.line_at(text.offset(line))
            assert at == line


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"\x1b[31mred\x1b[0m\n", "red"),
        (b"10%\r50%\r100%\r\n", "100%"),
        (b"a\tb\n", "a       b"),
        (b"\x1b]52;c;aGk=\x07\n", "\\x1b]52;c;aGk=\\x07"),
        (b"\xff\n", "\N{REPLACEMENT CHARACTER}"),
        ("\u202eevil\n".encode(), "\\u202eevil"),
    ],
)
def test_a_line_as_it_is_shown(line: bytes, shown: str) -> None:
    assert log_line(line) == shown


@pytest.mark.parametrize(("offset", "time"), [(0, "one"), (9, "one"), (10, "two"), (24, "two"), (25, "")], ids=str)
def test_bytes_have_the_time_of_the_event_that_reported_them(offset: int, time: str) -> None:
    times = LogTimes()
    assert times.at(0) == ""
    times.add(25, "two")
    times.add(10, "one")
    assert times.at(offset) == time
