"""Only those lines of a long text that hold something: read through from its beginning, and on while it grows."""

import asyncio

from textual import work

from tui.client import NotText, Refused, Unintelligible, Unreachable
from tui.widgets.log_rows import Shown
from tui.widgets.log_search import MOST, Read, Sieve
from tui.widgets.log_view import LogView
from tui.widgets.paint import Line, marked
from tui.widgets.rows import Rows
from tui.wording import count


class Matches(Rows):
    """A list; the cursor on the last line stays there while more are found."""

    def __init__(self, shown: Shown) -> None:
        super().__init__()
        self._shown = shown
        self._pattern = ""
        self._sieve = Sieve(b"")
        self._read: Read | None = None
        self._reading = False
        self._following = False

    @property
    def count(self) -> int:
        """How many lines were found."""
        return len(self._sieve)

    @property
    def offset_meant(self) -> int | None:
        """Where the line under the cursor begins in the text."""
        return self._sieve[self.cursor][0] if self.count else None

    @property
    def says(self) -> str:
        """How far it was looked, and what was found."""
        sieve = self._sieve
        found = f"{count(len(sieve), 'line')} with {self._pattern}"
        if sieve.full:
            return f"the first {MOST:,} lines with {self._pattern}"
        return found if sieve.done else f"{found}, {100 * sieve.at // max(sieve.size or 0, 1)} % looked through"

    def draw(self, at: int, cells: int) -> Line:  # noqa: ARG002 (a line is as long as it is)
        """Return a line, with what was looked for marked."""
        return marked([(self._shown(self._sieve[at][1]), "")], self._pattern)

    def look(self, read: Read, pattern: str, *, following: bool) -> None:
        """Look through a text; where one follows, the cursor goes with what is found."""
        self._following = following
        self._read, self._pattern = read, pattern.lower()
        self._sieve = Sieve(self._pattern.encode())
        self.cursor = 0
        self.recount()
        self.poke()

    def move(self, row: int) -> None:
        """Set the cursor; on the last line one follows."""
        super().move(row)
        self._following = self.cursor >= self.count - 1

    def poke(self) -> None:
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
        except (Refused, Unreachable, Unintelligible, NotText):
            pass  # the log itself says it
        finally:
            self._reading = False
            self.post_message(LogView.Changed())

    def _take(self) -> None:
        self.recount()
        if self._following and self.count:
            self.move(self.count - 1)
        self.post_message(LogView.Changed())
