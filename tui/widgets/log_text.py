"""A stretch of a text that may be very long: the lines that are held, and which bytes to read next.

Positions are bytes of the whole text. Nothing counts the lines of all of it, so that its size costs nothing.
"""

import re
from bisect import bisect_right
from itertools import accumulate

from msgspec import Struct

from tui.plain import plain

CHUNK = 128 * 1024  # bytes of one read
HELD = 1024 * 1024  # bytes that are held
LINE = 4096  # bytes after which a line is broken, so that a text without line ends can be shown
MARGIN = 100  # lines beside those that are seen

_COLOUR = re.compile(r"\x1b\[[0-9;:]*[mK]")


class Span(Struct, frozen=True):
    """Bytes to read: from `first` up to `end`, or the last `CHUNK` where nothing is known."""

    first: int | None
    end: int | None

    @property
    def header(self) -> str:
        """The same as HTTP says it."""
        return f"-{CHUNK}" if self.first is None or self.end is None else f"{self.first}-{self.end - 1}"


class LogText:
    """Lines of one text, from byte `start` up to byte `end`; `size` is how long it was at the last read."""

    def __init__(self, *, at_end: bool = True) -> None:
        self.lines: list[bytes] = []
        self.start = 0
        self.end = 0
        self.size = None if at_end else 0  # where nothing is known, its end is what is asked for first
        self._starts: list[int] = []  # of each line, and the end of the last; empty where they must be counted anew

    def seek(self, offset: int) -> None:
        """Hold nothing, and begin anew at a position."""
        self.lines = []
        self.start = self.end = offset
        self._starts = []

    def wish(self, first: int, last: int) -> Span | None:
        """Return what to read next while the lines `first` to `last` are looked at."""
        if self.size is None:
            return Span(None, None)
        if self.end < self.size and last + MARGIN >= len(self.lines):
            return Span(self.end, min(self.end + CHUNK, self.size))
        if self.start > 0 and first < MARGIN:
            return Span(max(self.start - CHUNK, 0), self.start)
        return None

    @property
    def more(self) -> Span:
        """What has come since, if anything."""
        return Span(self.end, self.end + CHUNK)

    def give(self, span: Span, data: bytes, size: int) -> int:
        """Take what was read; returns how many lines are before the first one of before, negative where some went.

        A text that became shorter is another text, and is begun anew.
        """
        if self.size is not None and size < self.end:
            self.size = None
            self.seek(0)
            return 0
        self.size = size
        self._starts = []
        first = max(size - len(data), 0) if span.first is None else span.first
        if self.lines and first + len(data) == self.start:
            return self._before(first, data)
        if first != self.end or (not self.lines and first > 0):
            data, first = _from_line_start(data, first)
            self.start = self.end = first
            self.lines = []
        return self._behind(data)

    def offset(self, line: int) -> int:
        """Return the position of a line that is held."""
        return self._positions[min(line, len(self.lines))]

    def line_at(self, offset: int) -> int | None:
        """Return the line that holds a position; None where that is not held."""
        if not self.start <= offset < self.end:
            return None
        return bisect_right(self._positions, offset) - 1

    @property
    def _positions(self) -> list[int]:
        if not self._starts:
            self._starts = list(accumulate(map(len, self.lines), initial=self.start))
        return self._starts

    def _before(self, first: int, data: bytes) -> int:
        data, first = _from_line_start(data, first)
        lines = _lines(data)
        self.lines[:0] = lines
        self.start = first
        while self.end - self.start > HELD:
            self.end -= len(self.lines.pop())
        return len(lines)

    def _behind(self, data: bytes) -> int:
        if self.lines and not self.lines[-1].endswith(b"\n") and len(self.lines[-1]) < LINE:
            last = self.lines.pop()
            self.end -= len(last)
            data = last + data
        self.lines += _lines(data)
        self.end += len(data)
        gone = 0
        while self.end - self.start > HELD:
            self.start += len(self.lines[gone])
            gone += 1
        del self.lines[:gone]
        return -gone


def shown(line: bytes) -> str:
    """Return a line as people see it: without its colours, after the last return of the carriage, and plain."""
    text = line.rstrip(b"\r\n").rpartition(b"\r")[2].decode("utf-8", "replace")
    return plain(_COLOUR.sub("", text).expandtabs())


def in_bytes(size: int) -> str:
    """Return a size as people read it, `1.5 MB`."""
    for unit, name in ((2**30, "GB"), (2**20, "MB"), (2**10, "kB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} B"


def _from_line_start(data: bytes, first: int) -> tuple[bytes, int]:
    """Leave out the end of a line whose beginning is not here."""
    if first == 0:
        return data, first
    skipped = data.find(b"\n") + 1
    return data[skipped:], first + skipped


def _lines(data: bytes) -> list[bytes]:
    whole = data.splitlines(keepends=True) if b"\r" not in data else _at_newlines(data)
    return [line[at : at + LINE] for line in whole for at in range(0, len(line), LINE)]


def _at_newlines(data: bytes) -> list[bytes]:
    lines = [line + b"\n" for line in data.split(b"\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines
