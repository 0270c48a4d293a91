"""Splits output into lines: the same lines however it comes, and none that is a piece of a longer one."""

from hypothesis import given
from hypothesis import strategies as st

from stitcherd.executors.streams.lines import LINE_MAX, Line, LineSplitter


@given(st.lists(st.binary(max_size=20)))
def test_lines_are_the_same_however_they_come(pieces: list[bytes]) -> None:
    splitter = LineSplitter()
    found = [line for piece in pieces for line in splitter.feed(piece)] + splitter.end()
    *ended, rest = b"".join(pieces).split(b"\n")
    assert found == [Line(data) for data in [*ended, *([rest] if rest else [])]]


def test_a_line_that_is_too_long_is_passed_on_whole_and_no_piece_of_it_is_read() -> None:
    splitter = LineSplitter()
    long = b"x" * (3 * LINE_MAX) + b'{"type":"result"}\n'
    pieces = [long[at : at + 65536] for at in range(0, len(long), 65536)]
    found = [line for piece in pieces for line in splitter.feed(piece)]
    assert b"".join(line.data for line in found) == long
    assert not any(line.whole for line in found)
    assert splitter.feed(b"next\n") == [Line(b"next")]
