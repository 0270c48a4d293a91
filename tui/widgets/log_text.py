"""A stretch of a text that may be very long: the lines that are held, and which bytes to read next.

Positions are bytes of the whole text. Nothing counts the lines of all of it, so that its size costs nothing.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate

from msgspec import Struct

from tui.text.plain import plain
from tui.widgets.paint import wrap_line

# merged from tui.widgets.log_rows: The rows that the lines of a log make on screen: one each, or several
# where they are folded to a width.
# merged from tui.widgets.log_clock: When a log was written: its bytes have no times, but the events that
# showed them have.


class LogTimes:
    """When the bytes of a log were written, as far as its events tell: each tells of what is up to its end."""

    def __init__(self) -> None:
        self._known: dict[int, str] = {}
        self._ends: list[int] = []

    def tell(self, end: int, clock: str) -> None:
        """Take what an event says of the bytes before `end`."""
        self._known[end] = clock
        self._ends = []

    def at(self, offset: int) -> str:
        """Return the time of a byte; empty where nothing is known."""
        if not self._ends:
            self._ends = sorted(self._known)
        at = bisect_right(self._ends, offset)
        return self._known[self._ends[at]] if at < len(self._ends) else ""


LineFormatter = Callable[[bytes], str]


class LogRows:
    """Rows of (line, text); without a width no line is folded, and only what is seen is made readable."""

    def __init__(self, shown: LineFormatter) -> None:
        self.cells: int | None = None
        self._shown = shown
        self._lines: Sequence[bytes] = ()
        self._folds: list[tuple[int, str]] | None = None

    def hold(self, lines: Sequence[bytes]) -> None:
        """Take other lines, or the same after they have changed."""
        self._lines = lines
        self._folds = None

    def fold(self, cells: int | None) -> None:
        """Take another width; None folds nothing."""
        if cells != self.cells:
            self.cells = cells
            self._folds = None

    def __len__(self) -> int:
        return len(self._lines) if self.cells is None else len(self._rows(self.cells))

    def __getitem__(self, row: int) -> tuple[int, str]:
        """Return the line that a row belongs to, and what is in it."""
        return (row, self._shown(self._lines[row])) if self.cells is None else self._rows(self.cells)[row]

    def begins(self, row: int) -> bool:
        """Say whether a row is the first one of its line."""
        return self.cells is None or row == 0 or self[row - 1][0] != self[row][0]

    def line(self, row: int) -> int:
        """Return the line of a row, or of the last one where there are fewer."""
        if self.cells is None:
            return row
        rows = self._rows(self.cells)
        return rows[min(row, len(rows) - 1)][0] if rows else 0

    def row(self, line: int) -> int:
        """Return the first row of a line."""
        if self.cells is None:
            return line
        return next((row for row, (at, _) in enumerate(self._rows(self.cells)) if at >= line), 0)

    def _rows(self, cells: int) -> list[tuple[int, str]]:
        if self._folds is None:
            self._folds = [
                (at, row) for at, line in enumerate(self._lines) for row in wrap_line(self._shown(line), cells)
            ]
        return self._folds


ReadRange = Callable[[str], tuple[bytes, int]]  # some bytes by a range of HTTP, and how long the whole is

CHUNK = 128 * 1024  # bytes of one read
HELD = 1024 * 1024  # bytes that are held
LINE = 4096  # bytes after which a line is broken, so that a text without line ends can be shown
MARGIN = 100  # lines beside those that are seen

_COLOUR = re.compile(r"\x1b\[[0-9;:]*[mK]")


class ByteRange(Struct, frozen=True):
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

    def wish(self, first: int, last: int) -> ByteRange | None:
        """Return what to read next while the lines `first` to `last` are looked at."""
        if self.size is None:
            return ByteRange(None, None)
        if self.end < self.size and last + MARGIN >= len(self.lines):
            return ByteRange(self.end, min(self.end + CHUNK, self.size))
        if self.start > 0 and first < MARGIN:
            return ByteRange(max(self.start - CHUNK, 0), self.start)
        return None

    @property
    def more(self) -> ByteRange:
        """What has come since, if anything."""
        return ByteRange(self.end, self.end + CHUNK)

    def give(self, span: ByteRange, data: bytes, size: int) -> int:
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


def log_line(line: bytes) -> str:
    """Return a line as people see it: without its colours, after the last return of the carriage, and plain."""
    text = line.rstrip(b"\r\n").rpartition(b"\r")[2].decode("utf-8", "replace")
    return plain(_COLOUR.sub("", text).expandtabs())


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
