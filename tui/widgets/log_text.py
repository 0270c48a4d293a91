"""The part of a long text that is in memory: its lines, which bytes to read next, and the rows it is drawn as.

Positions are byte offsets in the whole text. Lines are never counted from its beginning, so its size costs nothing.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate

from msgspec import Struct

from tui.text.plain import plain
from tui.widgets.paint import wrap_line

ReadRange = Callable[[str], tuple[bytes, int]]  # takes an HTTP range, returns the bytes and the size of the whole
LineFormatter = Callable[[bytes], str]

CHUNK = 128 * 1024  # bytes of one read
MAX_LOADED = 1024 * 1024  # bytes in memory
LINE = 4096  # bytes after which a line is broken, so that a text without line ends can be shown
MARGIN = 100  # lines that are loaded above and below the visible ones

_COLOUR = re.compile(r"\x1b\[[0-9;:]*[mK]")


class ByteRange(Struct, frozen=True):
    """Bytes to read, from `first` up to `end`; the last `CHUNK` bytes if both are None."""

    first: int | None
    end: int | None

    @property
    def header(self) -> str:
        """The range in the syntax of HTTP."""
        return f"-{CHUNK}" if self.first is None or self.end is None else f"{self.first}-{self.end - 1}"


class LogText:
    """The loaded lines of one text, bytes `start` to `end`; `size` is the size of the whole at the last read."""

    def __init__(self, *, at_end: bool = True) -> None:
        self.lines: list[bytes] = []
        self.start = 0
        self.end = 0
        self.size = None if at_end else 0  # None: read the end first
        self._starts: list[int] = []  # of each line, and the end of the last; empty if not computed yet

    def seek(self, offset: int) -> None:
        """Drop all lines, and continue at an offset."""
        self.lines = []
        self.start = self.end = offset
        self._starts = []

    def next_read(self, first: int, last: int) -> ByteRange | None:
        """Return what to read next while lines `first` to `last` are visible; None if everything is loaded."""
        if self.size is None:
            return ByteRange(None, None)
        if self.end < self.size and last + MARGIN >= len(self.lines):
            return ByteRange(self.end, min(self.end + CHUNK, self.size))
        if self.start > 0 and first < MARGIN:
            return ByteRange(max(self.start - CHUNK, 0), self.start)
        return None

    @property
    def growth(self) -> ByteRange:
        """The range behind the loaded lines, where a growing text continues."""
        return ByteRange(self.end, self.end + CHUNK)

    def insert(self, span: ByteRange, data: bytes, size: int) -> int:
        """Insert the bytes of a range; return by how many lines the loaded ones have moved, negative for dropped ones.

        A text that became shorter is taken as a new one: everything is dropped.
        """
        if self.size is not None and size < self.end:
            self.size = None
            self.seek(0)
            return 0
        self.size = size
        self._starts = []
        first = max(size - len(data), 0) if span.first is None else span.first
        if self.lines and first + len(data) == self.start:
            return self._prepend(first, data)
        if first != self.end or (not self.lines and first > 0):
            data, first = _from_line_start(data, first)
            self.start = self.end = first
            self.lines = []
        return self._append(data)

    def offset(self, line: int) -> int:
        """Return the offset of a loaded line."""
        return self._offsets[min(line, len(self.lines))]

    def line_at(self, offset: int) -> int | None:
        """Return the line with an offset; None if it is not loaded."""
        if not self.start <= offset < self.end:
            return None
        return bisect_right(self._offsets, offset) - 1

    @property
    def _offsets(self) -> list[int]:
        if not self._starts:
            self._starts = list(accumulate(map(len, self.lines), initial=self.start))
        return self._starts

    def _prepend(self, first: int, data: bytes) -> int:
        data, first = _from_line_start(data, first)
        lines = _split_lines(data)
        self.lines[:0] = lines
        self.start = first
        while self.end - self.start > MAX_LOADED:
            self.end -= len(self.lines.pop())
        return len(lines)

    def _append(self, data: bytes) -> int:
        if self.lines and not self.lines[-1].endswith(b"\n") and len(self.lines[-1]) < LINE:
            last = self.lines.pop()
            self.end -= len(last)
            data = last + data
        self.lines += _split_lines(data)
        self.end += len(data)
        dropped = 0
        while self.end - self.start > MAX_LOADED:
            self.start += len(self.lines[dropped])
            dropped += 1
        del self.lines[:dropped]
        return -dropped


class LogRows:
    """The rows that lines are drawn as: one each, or, with a width, as many as each line wraps to.

    Without a width only the rows that are asked for are formatted.
    """

    def __init__(self, line_formatter: LineFormatter) -> None:
        self.cells: int | None = None
        self._format = line_formatter
        self._lines: Sequence[bytes] = ()
        self._wrapped: list[tuple[int, str]] | None = None

    def set_lines(self, lines: Sequence[bytes]) -> None:
        """Replace the lines, or report that they have changed."""
        self._lines = lines
        self._wrapped = None

    def set_width(self, cells: int | None) -> None:
        """Set the width at which lines wrap; None for no wrapping."""
        if cells != self.cells:
            self.cells = cells
            self._wrapped = None

    def __len__(self) -> int:
        return len(self._lines) if self.cells is None else len(self._rows(self.cells))

    def __getitem__(self, row: int) -> tuple[int, str]:
        """Return the index of the line that a row belongs to, and the text of the row."""
        return (row, self._format(self._lines[row])) if self.cells is None else self._rows(self.cells)[row]

    def starts_line(self, row: int) -> bool:
        """Return whether a row is the first one of its line."""
        return self.cells is None or row == 0 or self[row - 1][0] != self[row][0]

    def line_of(self, row: int) -> int:
        """Return the line of a row; the last line for rows behind the end."""
        if self.cells is None:
            return row
        rows = self._rows(self.cells)
        return rows[min(row, len(rows) - 1)][0] if rows else 0

    def row_of(self, line: int) -> int:
        """Return the first row of a line."""
        if self.cells is None:
            return line
        return next((row for row, (at, _) in enumerate(self._rows(self.cells)) if at >= line), 0)

    def _rows(self, cells: int) -> list[tuple[int, str]]:
        if self._wrapped is None:
            lines = map(self._format, self._lines)
            self._wrapped = [(at, row) for at, line in enumerate(lines) for row in wrap_line(line, cells)]
        return self._wrapped


class LogTimes:
    """The times at which the bytes of a log were written, as far as events report them."""

    def __init__(self) -> None:
        self._times: dict[int, str] = {}
        self._ends: list[int] = []

    def add(self, end: int, time: str) -> None:
        """Add the time of the bytes before offset `end`, back to the previous known offset."""
        self._times[end] = time
        self._ends = []

    def at(self, offset: int) -> str:
        """Return the time of a byte, or "" if unknown."""
        if not self._ends:
            self._ends = sorted(self._times)
        at = bisect_right(self._ends, offset)
        return self._times[self._ends[at]] if at < len(self._ends) else ""


def log_line(line: bytes) -> str:
    """Return a line as a terminal would show it: plain, without colours, and only what follows a carriage return."""
    text = line.rstrip(b"\r\n").rpartition(b"\r")[2].decode("utf-8", "replace")
    return plain(_COLOUR.sub("", text).expandtabs())


def _from_line_start(data: bytes, first: int) -> tuple[bytes, int]:
    """Drop the end of a line whose beginning is not in the data; return the rest and its offset."""
    if first == 0:
        return data, first
    skipped = data.find(b"\n") + 1
    return data[skipped:], first + skipped


def _split_lines(data: bytes) -> list[bytes]:
    """Split at newlines only, not at carriage returns, and break lines that are too long."""
    lines = data.splitlines(keepends=True) if b"\r" not in data else _split_at_newlines(data)
    return [line[at : at + LINE] for line in lines for at in range(0, len(line), LINE)]


def _split_at_newlines(data: bytes) -> list[bytes]:
    lines = [line + b"\n" for line in data.split(b"\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines
