"""The output of a step: any number of bytes, read where one looks; followed while one is at its end."""

import asyncio
from collections.abc import Callable
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.message import Message

from tui.client import NotText, Refused, Unintelligible, Unreachable
from tui.plain import plain
from tui.widgets.lines import Lines
from tui.widgets.log_text import CHUNK, LogText, Span, shown
from tui.widgets.paint import Line, folded

Read = Callable[[str], tuple[bytes, int]]

SCAN = 1024 * 1024  # bytes of one read while something is looked for


class LogView(Lines):
    """Reads its text through `open`'s function; `note` is what is to be said of it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("z", "wrap", "wrap", show=False)]

    class Changed(Message):
        """Position, size or note are others."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(id=id)
        self.text = LogText()
        self.following = True
        self.note = ""
        self.pattern = ""
        self.wrapped = False
        self._read: Read | None = None
        self._reading = False
        self._stale = False
        self._folds: list[tuple[int, str]] | None = None
        self._target: int | None = None  # a position to go to once it is held
        self._found: int | None = None

    @property
    def count(self) -> int:
        """How many lines are held, or rows where they are wrapped; without any, the note is one."""
        if not self.text.lines:
            return bool(self.note)
        return len(self._rows()) if self.wrapped else len(self.text.lines)

    def draw(self, at: int, cells: int) -> Line:  # noqa: ARG002 (rows are folded when they are counted)
        """Return a line, with what was looked for marked."""
        if not self.text.lines:
            return [(self.note, "dim")]
        text = self._rows()[at][1] if self.wrapped else shown(self.text.lines[at])
        return _marked(text, self.pattern)

    def open(self, read: Read) -> None:
        """Show another text, from its end."""
        self._read = read
        self.text = LogText()
        self.following, self.note, self._target, self._found = True, "", None, None
        self._folds = None
        self.recount()
        self._look()

    def poke(self) -> None:
        """Look whether the text has grown."""
        self._stale = True
        self._look()

    def recount(self) -> None:
        """Fold for another width."""
        if self.wrapped:
            self._folds = None
        super().recount()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Read what is looked at now; who scrolls up does not follow."""
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self.following = self._at_end
            self.post_message(self.Changed())
            self._look()

    def on_resize(self) -> None:
        """Stay at the end."""
        if self.following:
            self.jump(self.count)
        self._look()

    @property
    def _at_end(self) -> bool:
        text = self.text
        return text.end == (text.size or 0) and self.scroll_offset.y + self.size.height >= self.count

    def _look(self) -> None:
        if not self._reading and self._read and self.is_attached:
            self._reading = True
            self._fill()

    @work(group="log")
    async def _fill(self) -> None:
        """Read until all that is looked at is held."""
        try:
            while self._read and (span := self._wish()):
                read, text = self._read, self.text
                data, size = await asyncio.to_thread(read, span.header)
                if text is self.text:
                    self._take(span, data, size)
        except Refused as refused:
            self.note = str(refused)
            self.recount()
        except (Unreachable, Unintelligible, NotText):
            pass  # the banner says it; what is shown stays
        finally:
            self._reading = False
        self.post_message(self.Changed())

    def _wish(self) -> Span | None:
        first, last = (self._line(row) for row in self.window)
        span = self.text.wish(first, len(self.text.lines) if self.following else last)
        if span is None and self._stale:
            self._stale = False
            return self.text.more if self.text.end == self.text.size else None
        return span

    def _take(self, span: Span, data: bytes, size: int) -> None:
        top = self._line(self.scroll_offset.y)
        following = self.following
        moved = self.text.give(span, data, size)
        self._folds = None
        self.note = "" if size else "no output"
        super().recount()
        if self._target is not None:
            self._arrive()
        elif following:
            self.jump(self.count)
            self.following = True
        elif moved:
            self.jump(self._row(top + moved))
        self.refresh()

    def _rows(self) -> list[tuple[int, str]]:
        if self._folds is None:
            cells = max(self.room, 20)
            self._folds = [(at, row) for at, line in enumerate(self.text.lines) for row in folded(shown(line), cells)]
        return self._folds

    def _line(self, row: int) -> int:
        if not self.wrapped:
            return row
        rows = self._rows()
        return rows[min(row, len(rows) - 1)][0] if rows else 0

    def _row(self, line: int) -> int:
        if not self.wrapped:
            return line
        return next((row for row, (at, _) in enumerate(self._rows()) if at >= line), 0)

    def action_wrap(self) -> None:
        """Fold long lines, or no longer."""
        top = self._line(self.scroll_offset.y)
        self.wrapped = not self.wrapped
        self.left = 0
        self.recount()
        self.jump(self.count if self.following else self._row(top))

    def action_first(self) -> None:
        """Go to the first byte."""
        self._go_to(0)

    def action_last(self) -> None:
        """Go to the end, and follow."""
        if self.text.size and self.text.end < self.text.size - CHUNK:
            self.text.seek(self.text.size - CHUNK)
            self._folds = None
        self.recount()
        self.jump(self.count)
        self.following, self._target, self._stale = True, None, True
        self._look()

    def _go_to(self, offset: int) -> None:
        self.following = False
        self._target = offset
        if not self._arrive():
            self.text.seek(max(offset - CHUNK // 2, 0))
            self._folds = None
            self.recount()
            self._look()

    def _arrive(self) -> bool:
        """Scroll to the target if it is held."""
        line = None if self._target is None else self.text.line_at(self._target)
        if line is None:
            return False
        self._target = None
        self.jump(max(self._row(line) - self.size.height // 3, 0) if line else 0)
        self.following = False
        return True

    @property
    def position(self) -> str:
        """Where one is in the whole text."""
        size = self.text.size
        if not size:
            return ""
        end = self.text.offset(self._line(self.window[1]) + 1)
        return f"{min(100 * end // size, 100)} % of {_bytes(size)}"

    def find(self, pattern: str, *, backward: bool = False) -> None:
        """Look for a text from here on, in any case; goes there when it is found."""
        self.pattern = pattern.lower()
        self.refresh()
        if pattern and self._read:
            self._scan(self._read, self.pattern.encode(), backward)

    @work(group="find", exclusive=True)
    async def _scan(self, read: Read, wanted: bytes, backward: bool) -> None:  # noqa: FBT001 (a worker)
        self.note = f"looking for {plain(wanted.decode())} …"
        self.post_message(self.Changed())
        try:
            found = await asyncio.to_thread(_search, read, wanted, self._from(backward=backward), backward=backward)
        except (Refused, Unreachable) as said:
            self.note = str(said)
        else:
            where = "above" if backward else "below"
            self.note = "" if found is not None else f"{plain(wanted.decode())} is not {where}"
            if found is not None:
                self._found = found
                self._go_to(found)
        self.post_message(self.Changed())

    def _from(self, *, backward: bool) -> int:
        first, last = self.window
        top = self.text.offset(self._line(first))
        seen = self.text.offset(self._line(last) + 1)
        if self._found is not None and top <= self._found < seen:
            return self._found if backward else self._found + 1
        return seen if backward else top


def _search(read: Read, wanted: bytes, start: int, *, backward: bool) -> int | None:
    """Return the position of `wanted`, read in stretches that overlap by its length."""
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


def _marked(text: str, pattern: str) -> Line:
    if not pattern or pattern not in text.lower():
        return [(text, "")]
    line = []
    rest, low = text, text.lower()
    while (at := low.find(pattern)) >= 0:
        line += [(rest[:at], ""), (rest[at : at + len(pattern)], "reverse accent")]
        rest, low = rest[at + len(pattern) :], low[at + len(pattern) :]
    return [*line, (rest, "")]


def _bytes(size: int) -> str:
    for unit, name in ((2**30, "GB"), (2**20, "MB"), (2**10, "kB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} B"
