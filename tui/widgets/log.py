"""A text of any number of bytes, read where one looks; followed while one is at its end, if it is one that grows."""

import asyncio
from collections.abc import Callable
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.message import Message

from shared.units import format_size
from tui.client.http import ApiError, DaemonUnreachable, InvalidResponse, NotUtf8
from tui.widgets.lines import LineView
from tui.widgets.log_text import CHUNK, ByteRange, LineFormatter, LogRows, LogText, LogTimes, ReadRange
from tui.widgets.paint import StyledLine, highlight

GUTTER = 9  # cells of a time and a blank


class LogView(LineView):
    """Reads its text through `open`'s function; `note` is what is to be said of it, `clock` the times beside it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("z", "wrap", "wrap", show=False)]

    class Changed(Message):
        """Position, size or note are others."""

    def __init__(self, shown: LineFormatter, colour: Callable[[str], str], empty: str) -> None:
        super().__init__()
        self.text = LogText()
        self.following = True
        self.note = ""
        self.times: LogTimes | None = None
        self._rows = LogRows(shown)
        self._colour = colour
        self._empty = empty
        self._wrapped = False
        self._read: ReadRange | None = None
        self._reading = False
        self._stale = False
        self._target: int | None = None  # a position to go to once it is held
        self._pattern = ""

    @property
    def count(self) -> int:
        """How many rows the lines make that are held; without any, the note is one."""
        return len(self._rows) if self.text.lines else bool(self.note)

    def draw(self, at: int, cells: int) -> StyledLine:  # noqa: ARG002 (rows are folded when they are counted)
        """Return a row, with what was looked for marked."""
        if not self.text.lines:
            return [(self.note, "dim")]
        line, text = self._rows[at]
        row = highlight([(text, self._colour(text))], self._pattern)
        if self.times is None:
            return row
        when = self.times.at(self.text.offset(line)) if self._rows.begins(at) else ""
        return [(f"{when:{GUTTER}}", "dim"), *row]

    def open(self, read: ReadRange, *, at_end: bool = True) -> None:
        """Show another text, from its end or from its beginning."""
        self._read = read
        self.text = LogText(at_end=at_end)
        self.following, self.note = at_end, ""
        self._target, self._stale = None if at_end else 0, True
        self.recount()
        self._look()

    def check_growth(self) -> None:
        """Look whether the text has grown."""
        self._stale = True
        self._look()

    def recount(self) -> None:
        """Take the lines that are held, folded for the width there is."""
        gutter = GUTTER if self.times else 0
        self._rows.fold(max(self.line_width - gutter, 20) if self._wrapped else None)
        self._rows.hold(self.text.lines)
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
        return self.text.end == (self.text.size or 0) and self.scroll_offset.y + self.size.height >= self.count

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
        except ApiError as refused:
            self.note = str(refused)
            self.recount()
        except (DaemonUnreachable, InvalidResponse, NotUtf8):
            pass  # the banner says it; what is shown stays
        finally:
            self._reading = False
        self.post_message(self.Changed())

    def _wish(self) -> ByteRange | None:
        first, last = (self._rows.line(row) for row in self.visible_rows)
        span = self.text.wish(first, len(self.text.lines) if self.following else last)
        if span is None and self._stale:
            self._stale = False
            return self.text.more if self.text.end == self.text.size else None
        return span

    def _take(self, span: ByteRange, data: bytes, size: int) -> None:
        top, following = self._rows.line(self.scroll_offset.y), self.following
        moved = self.text.give(span, data, size)
        self.note = "" if size else self._empty
        self.recount()
        if self._target is not None:
            self._arrive()
        elif following:
            self.jump(self.count)
            self.following = True
        elif moved:
            self.jump(self._rows.row(top + moved))

    def action_wrap(self) -> None:
        """Fold long lines, or no longer."""
        top = self._rows.line(self.scroll_offset.y)
        self._wrapped = not self._wrapped
        self.left = 0
        self.recount()
        self.jump(self.count if self.following else self._rows.row(top))

    def action_first(self) -> None:
        """Go to the first byte."""
        self.go_to(0)

    def action_last(self) -> None:
        """Go to the end, and follow."""
        if self.text.size and self.text.end < self.text.size - CHUNK:
            self.text.seek(self.text.size - CHUNK)
        self.recount()
        self.jump(self.count)
        self.following, self._target, self._stale = True, None, True
        self._look()

    def go_to(self, offset: int) -> None:
        """Show the line that holds a byte."""
        self.following = False
        self._target = offset
        if not self._arrive():
            self.text.seek(max(offset - CHUNK // 2, 0))
            self.recount()
            self._look()

    def _arrive(self) -> bool:
        """Scroll to the target if it is held."""
        line = None if self._target is None else self.text.line_at(self._target)
        if line is None:
            return False
        self._target = None
        self.jump(max(self._rows.row(line) - self.size.height // 3, 0) if line else 0)
        self.following = False
        return True

    @property
    def position(self) -> str:
        """Where one is in the whole text; empty where that is empty."""
        size = self.text.size
        return f"{min(100 * self.seen[1] // size, 100)} % of {format_size(size)}" if size else ""

    @property
    def seen(self) -> tuple[int, int]:
        """From which byte to which one sees."""
        first, last = (self._rows.line(row) for row in self.visible_rows)
        return self.text.offset(first), self.text.offset(last + 1)

    def mark(self, pattern: str) -> None:
        """Have a text stand out wherever it is, in any case."""
        self._pattern = pattern.lower()
        self.refresh()
