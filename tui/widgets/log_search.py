"""What is looked for in a text that may be very long: the next place of it, or every line that holds it."""

import asyncio

from textual import work

from tui.client.http import ApiError, DaemonUnreachable, InvalidResponse, NotUtf8
from tui.text.jobs import counted
from tui.widgets.lines import RowView
from tui.widgets.log import LogView
from tui.widgets.log_text import LineFormatter, ReadRange
from tui.widgets.paint import StyledLine, highlight

# merged from tui.widgets.matches: Only those lines of a long text that hold something: read through from its
# beginning, and on while it grows.

SCAN = 1024 * 1024  # bytes of one read
LINE = 4096  # bytes of a line that are kept
MOST = 50_000  # lines that are kept
ENDLESS = 1024 * 1024  # bytes after which a line without an end is taken as it is


def search_log(read: ReadRange, wanted: bytes, start: int, *, backward: bool) -> int | None:
    """Return the position of `wanted`, in lower case, from `start` on; read in stretches that overlap by its length."""
    overlap = len(wanted) - 1
    at = start
    while True:
        first = max(at - SCAN, 0) if backward else at
        end = at + overlap if backward else at + SCAN
        if end <= first:
            return None
        data, size = read(f"{first}-{end - 1}")
        found = data.lower().rfind(wanted) if backward else data.lower().find(wanted)
        if found >= 0:
            return first + found
        at = first if backward else first + SCAN - overlap
        if (backward and first == 0) or (not backward and end >= size):
            return None


class LineFilter:
    """The lines of a text that hold `wanted`, in lower case, as far as it was read: up to byte `at`."""

    def __init__(self, wanted: bytes) -> None:
        self.at = 0
        self.size: int | None = None
        self._wanted = wanted
        self._lines: list[tuple[int, bytes]] = []
        self._rest = b""
        self._unfinished = False  # whether the last line, which may go on, is one of them

    def __len__(self) -> int:
        return len(self._lines) + self._unfinished

    def __getitem__(self, at: int) -> tuple[int, bytes]:
        """Return where a line begins, and the beginning of it."""
        lines, rest = self._lines, self._rest
        return lines[at] if at < len(lines) else (self.at - len(rest), rest[:LINE])

    @property
    def full(self) -> bool:
        """Whether no more lines are kept."""
        return len(self._lines) >= MOST

    @property
    def done(self) -> bool:
        """Whether there is nothing more to read, for now."""
        return self.full or (self.size is not None and self.at >= self.size)

    def read(self, read: ReadRange) -> None:
        """Read a stretch further; a text that became shorter is another one, and is begun anew."""
        data, self.size = read(f"{self.at}-{self.at + SCAN - 1}")
        if self.size < self.at:
            self.at, self._lines, self._rest = 0, [], b""
        else:
            self.feed(data)

    def feed(self, data: bytes) -> None:
        """Take what comes next."""
        first = self.at - len(self._rest)
        self.at += len(data)
        block = self._rest + data
        end = block.rfind(b"\n") + 1
        if not end and len(block) > ENDLESS:
            end = len(block)
        block, self._rest = block[:end], block[end:]
        low, at = block.lower(), 0
        while (at := low.find(self._wanted, at)) >= 0 and not self.full:
            start = low.rfind(b"\n", 0, at) + 1
            at = low.find(b"\n", at) + 1 or len(low)
            self._lines.append((first + start, block[start:at][:LINE]))
        self._unfinished = self._wanted in self._rest.lower()


class MatchList(RowView):
    """A list; the cursor on the last line stays there while more are found."""

    def __init__(self, shown: LineFormatter) -> None:
        super().__init__()
        self._shown = shown
        self._pattern = ""
        self._sieve = LineFilter(b"")
        self._read: ReadRange | None = None
        self._reading = False
        self._following = False

    @property
    def count(self) -> int:
        """How many lines were found."""
        return len(self._sieve)

    @property
    def selected_offset(self) -> int | None:
        """Where the line under the cursor begins in the text."""
        return self._sieve[self.cursor][0] if self.count else None

    @property
    def says(self) -> str:
        """How far it was looked, and what was found."""
        sieve = self._sieve
        found = f"{counted(len(sieve), 'line')} with {self._pattern}"
        if sieve.full:
            return f"the first {MOST:,} lines with {self._pattern}"
        return found if sieve.done else f"{found}, {100 * sieve.at // max(sieve.size or 0, 1)} % looked through"

    def draw(self, at: int, cells: int) -> StyledLine:  # noqa: ARG002 (a line is as long as it is)
        """Return a line, with what was looked for marked."""
        return highlight([(self._shown(self._sieve[at][1]), "")], self._pattern)

    def look(self, read: ReadRange, pattern: str, *, following: bool) -> None:
        """Look through a text; where one follows, the cursor goes with what is found."""
        self._following = following
        self._read, self._pattern = read, pattern.lower()
        self._sieve = LineFilter(self._pattern.encode())
        self.cursor = 0
        self.recount()
        self.check_growth()

    def move(self, row: int) -> None:
        """Set the cursor; on the last line one follows."""
        super().move(row)
        self._following = self.cursor >= self.count - 1

    def check_growth(self) -> None:
        """Look through what has come since."""
        if not self._reading and self._read:
            self._reading = True
            self._fill()

    @work(group="matches")
    async def _fill(self) -> None:
        try:
            while self._read and self.display:
                read, sieve = self._read, self._sieve
                await asyncio.to_thread(sieve.read, read)
                if sieve is not self._sieve:
                    continue
                self._take()
                if sieve.done:
                    return
        except (ApiError, DaemonUnreachable, InvalidResponse, NotUtf8):
            pass  # the log itself says it
        finally:
            self._reading = False
            self.post_message(LogView.Changed())

    def _take(self) -> None:
        self.recount()
        if self._following and self.count:
            self.move(self.count - 1)
        self.post_message(LogView.Changed())
