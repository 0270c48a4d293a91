"""Search in a text that may be very long: the next occurrence, and the list of all lines that match."""

import asyncio

from textual import work

from tui.client.http import ApiError, DaemonUnreachable, InvalidResponse, NotUtf8
from tui.text.jobs import counted
from tui.widgets.lines import RowView
from tui.widgets.log import LogView
from tui.widgets.log_text import LineFormatter, ReadRange
from tui.widgets.paint import StyledLine, highlight

SCAN = 1024 * 1024  # bytes of one read
LINE = 4096  # bytes of a line that are kept
MAX_MATCHES = 50_000  # lines that are kept
MAX_LINE = 1024 * 1024  # bytes after which a line without an end is taken as complete


def search_log(read: ReadRange, pattern: bytes, start: int, *, backward: bool) -> int | None:
    """Return the offset of the next `pattern`, in lower case, from `start` on, or None; the ranges it reads overlap."""
    overlap = len(pattern) - 1
    at = start
    while True:
        first = max(at - SCAN, 0) if backward else at
        end = at + overlap if backward else at + SCAN
        if end <= first:
            return None
        data, size = read(f"{first}-{end - 1}")
        found = data.lower().rfind(pattern) if backward else data.lower().find(pattern)
        if found >= 0:
            return first + found
        at = first if backward else first + SCAN - overlap
        if (backward and first == 0) or (not backward and end >= size):
            return None


class MatchCounter:
    """The offsets of all occurrences of `pattern`, in lower case, in a text that may grow, read up to byte `at`."""

    def __init__(self, pattern: bytes) -> None:
        self.pattern = pattern
        self.offsets: list[int] = []
        self.at = 0
        self._size: int | None = None

    @property
    def full(self) -> bool:
        """Whether there are more than are kept."""
        return len(self.offsets) >= MAX_MATCHES

    @property
    def done(self) -> bool:
        """Whether there is nothing more to read at present."""
        return self.full or (self._size is not None and self.at + len(self.pattern) > self._size)

    @property
    def next_range(self) -> str:
        """The range to read next; ranges overlap, so that each occurrence is in one of them as a whole."""
        return f"{self.at}-{self.at + SCAN + len(self.pattern) - 2}"

    def feed(self, data: bytes, size: int) -> None:
        """Search what was read, of a text of `size` bytes; a text that became shorter is taken as a new one."""
        self._size = size
        if size < self.at:
            self.at, self.offsets = 0, []
            return
        lower, at = data.lower(), -1
        while (at := lower.find(self.pattern, at + 1)) >= 0 and not self.full:
            self.offsets.append(self.at + at)
        self.at += max(len(data) - len(self.pattern) + 1, 0)


class LineFilter:
    """The lines of a text that contain `pattern`, in lower case, as far as it has been read: up to byte `at`."""

    def __init__(self, pattern: bytes) -> None:
        self.at = 0
        self.size: int | None = None
        self._pattern = pattern
        self._lines: list[tuple[int, bytes]] = []
        self._rest = b""
        self._rest_matches = False  # whether the last line, which may continue, contains the pattern

    def __len__(self) -> int:
        return len(self._lines) + self._rest_matches

    def __getitem__(self, at: int) -> tuple[int, bytes]:
        """Return the offset of a line, and its first bytes."""
        lines, rest = self._lines, self._rest
        return lines[at] if at < len(lines) else (self.at - len(rest), rest[:LINE])

    @property
    def full(self) -> bool:
        """Whether the maximum number of lines is reached."""
        return len(self._lines) >= MAX_MATCHES

    @property
    def done(self) -> bool:
        """Whether there is nothing more to read at present."""
        return self.full or (self.size is not None and self.at >= self.size)

    def read(self, read: ReadRange) -> None:
        """Read and filter the next range; a text that became shorter is taken as a new one."""
        data, self.size = read(f"{self.at}-{self.at + SCAN - 1}")
        if self.size < self.at:
            self.at, self._lines, self._rest = 0, [], b""
        else:
            self.feed(data)

    def feed(self, data: bytes) -> None:
        """Filter the bytes that follow."""
        first = self.at - len(self._rest)
        self.at += len(data)
        block = self._rest + data
        end = block.rfind(b"\n") + 1
        if not end and len(block) > MAX_LINE:
            end = len(block)
        block, self._rest = block[:end], block[end:]
        lower, at = block.lower(), 0
        while (at := lower.find(self._pattern, at)) >= 0 and not self.full:
            start = lower.rfind(b"\n", 0, at) + 1
            at = lower.find(b"\n", at) + 1 or len(lower)
            self._lines.append((first + start, block[start:at][:LINE]))
        self._rest_matches = self._pattern in self._rest.lower()


class MatchList(RowView):
    """The matching lines of a text, read from its beginning and further while it grows.

    A cursor on the last line stays on the last line while more are found.
    """

    def __init__(self, line_formatter: LineFormatter) -> None:
        super().__init__()
        self._format = line_formatter
        self._pattern = ""
        self._lines = LineFilter(b"")
        self._read: ReadRange | None = None
        self._reading = False
        self._following = False

    @property
    def count(self) -> int:
        """The number of lines that were found."""
        return len(self._lines)

    @property
    def selected_offset(self) -> int | None:
        """The offset of the line under the cursor in the text."""
        return self._lines[self.cursor][0] if self.count else None

    @property
    def summary(self) -> str:
        """How many lines were found, and how much of the text has been read."""
        lines = self._lines
        found = f"{counted(len(lines), 'line')} with {self._pattern}"
        if lines.full:
            return f"the first {MAX_MATCHES:,} lines with {self._pattern}"
        return found if lines.done else f"{found}, {100 * lines.at // max(lines.size or 0, 1)} % searched"

    def draw(self, at: int, cells: int) -> StyledLine:  # noqa: ARG002 (lines are not wrapped here)
        """Return a line, with the pattern highlighted."""
        return highlight([(self._format(self._lines[at][1]), "")], self._pattern)

    def search(self, read: ReadRange, pattern: str, *, following: bool) -> None:
        """Search a text from its beginning; with `following` the cursor stays on the last match."""
        self._following = following
        self._read, self._pattern = read, pattern.lower()
        self._lines = LineFilter(self._pattern.encode())
        self.cursor = 0
        self.recount()
        self.check_growth()

    def move(self, row: int) -> None:
        """Set the cursor; on the last line it follows."""
        super().move(row)
        self._following = self.cursor >= self.count - 1

    def check_growth(self) -> None:
        """Search what was added to the text."""
        if not self._reading and self._read:
            self._reading = True
            self._search_rest()

    @work(group="matches")
    async def _search_rest(self) -> None:
        try:
            while self._read and self.display:
                read, lines = self._read, self._lines
                await asyncio.to_thread(lines.read, read)
                if lines is not self._lines:
                    continue
                self._show_found()
                if lines.done:
                    return
        except (ApiError, DaemonUnreachable, InvalidResponse, NotUtf8):
            pass  # the log itself shows the error
        finally:
            self._reading = False
            self.post_message(LogView.Changed())

    def _show_found(self) -> None:
        self.recount()
        if self._following and self.count:
            self.move(self.count - 1)
        self.post_message(LogView.Changed())
