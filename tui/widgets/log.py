"""A view of a text of any size: it loads the part that is visible, and follows the end of a growing text."""

import asyncio
from collections.abc import Callable
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.message import Message

from shared.units import format_size
from tui.client.http import ApiError, DaemonUnreachable, InvalidResponse, NotUtf8
from tui.text.plain import single_line
from tui.widgets.lines import LineView
from tui.widgets.log_text import CHUNK, ByteRange, LineFormatter, LogRows, LogText, LogTimes, ReadRange
from tui.widgets.paint import StyledLine, highlight

TIME_CELLS = 9  # a time and a blank


class LogView(LineView):
    """Shows the text that `open` is given a function to read; `note` is an error or hint, `times` a column of times."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("z", "wrap", "wrap", show=False)]

    class Changed(Message):
        """Position, size or note have changed."""

    def __init__(self, line_formatter: LineFormatter, colour: Callable[[str], str], empty: str) -> None:
        super().__init__()
        self.text = LogText()
        self.following = True
        self.note = ""
        self.times: LogTimes | None = None
        self._rows = LogRows(line_formatter)
        self._colour = colour
        self._empty = empty  # the note on an empty text
        self._wrapped = False
        self._read: ReadRange | None = None
        self._reading = False
        self._may_have_grown = False
        self._target: int | None = None  # an offset to scroll to once it is loaded
        self._pattern = ""

    @property
    def count(self) -> int:
        """The number of rows of the loaded lines; without any, the note is one row."""
        return len(self._rows) if self.text.lines else bool(self.note)

    def draw(self, at: int, cells: int) -> StyledLine:  # noqa: ARG002 (rows are wrapped by recount)
        """Return a row, with the pattern highlighted."""
        if not self.text.lines:
            return [(self.note, "dim")]
        line, text = self._rows[at]
        row = highlight([(text, self._colour(text))], self._pattern)
        if self.times is None:
            return row
        time = self.times.at(self.text.offset(line)) if self._rows.starts_line(at) else ""
        return [(f"{time:{TIME_CELLS}}", "dim"), *row]

    def open(self, read: ReadRange, *, at_end: bool = True) -> None:
        """Show another text from its end, following it, or from its beginning."""
        self._read = read
        self.text = LogText(at_end=at_end)
        self.following, self.note = at_end, ""
        self._target, self._may_have_grown = None if at_end else 0, True
        self.recount()
        self._load()

    def check_growth(self) -> None:
        """Load what was added to the text."""
        self._may_have_grown = True
        self._load()

    def recount(self) -> None:
        """Redraw the loaded lines, wrapped to the current width if wrapping is on."""
        times = TIME_CELLS if self.times else 0
        self._rows.set_width(max(self.line_width - times, 20) if self._wrapped else None)
        self._rows.set_lines(self.text.lines)
        super().recount()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Load what is visible now; stop following when scrolled up."""
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self.following = self._at_end
            self.post_message(self.Changed())
            self._load()

    def on_resize(self) -> None:
        """Stay at the end while following."""
        if self.following:
            self.jump(self.count)
        self._load()

    @property
    def _at_end(self) -> bool:
        return self.text.end == (self.text.size or 0) and self.scroll_offset.y + self.size.height >= self.count

    def _load(self) -> None:
        if not self._reading and self._read and self.is_attached:
            self._reading = True
            self._load_visible()

    @work(group="log")
    async def _load_visible(self) -> None:
        """Read until everything visible is loaded."""
        try:
            while self._read and (span := self._next_read()):
                read, text = self._read, self.text
                data, size = await asyncio.to_thread(read, span.header)
                if text is self.text:
                    self._insert(span, data, size)
        except ApiError as error:
            self.note = single_line(str(error))
            self.recount()
        except (DaemonUnreachable, InvalidResponse, NotUtf8):
            pass  # the screen shows the state of the connection; the loaded lines stay
        finally:
            self._reading = False
        self.post_message(self.Changed())

    def _next_read(self) -> ByteRange | None:
        first, last = (self._rows.line_of(row) for row in self.visible_rows)
        span = self.text.next_read(first, len(self.text.lines) if self.following else last)
        if span is None and self._may_have_grown:
            self._may_have_grown = False
            return self.text.growth if self.text.end == self.text.size else None
        return span

    def _insert(self, span: ByteRange, data: bytes, size: int) -> None:
        top, following = self._rows.line_of(self.scroll_offset.y), self.following
        moved = self.text.insert(span, data, size)
        self.note = "" if size else self._empty
        self.recount()
        if self._target is not None:
            self._scroll_to_target()
        elif following:
            self.jump(self.count)
            self.following = True
        elif moved:
            self.jump(self._rows.row_of(top + moved))

    def action_wrap(self) -> None:
        """Switch the wrapping of long lines."""
        top = self._rows.line_of(self.scroll_offset.y)
        self._wrapped = not self._wrapped
        self.left = 0
        self.recount()
        self.jump(self.count if self.following else self._rows.row_of(top))

    def action_first(self) -> None:
        """Go to the first byte."""
        self.go_to(0)

    def action_last(self) -> None:
        """Go to the end, and follow it."""
        if self.text.size and self.text.end < self.text.size - CHUNK:
            self.text.seek(self.text.size - CHUNK)
        self.recount()
        self.jump(self.count)
        self.following, self._target, self._may_have_grown = True, None, True
        self._load()

    def go_to(self, offset: int) -> None:
        """Show the line with a byte offset; it is loaded first if needed."""
        self.following = False
        self._target = offset
        if not self._scroll_to_target():
            self.text.seek(max(offset - CHUNK // 2, 0))
            self.recount()
            self._load()

    def _scroll_to_target(self) -> bool:
        line = None if self._target is None else self.text.line_at(self._target)
        if line is None:
            return False
        self._target = None
        self.jump(max(self._rows.row_of(line) - self.size.height // 3, 0) if line else 0)
        self.following = False
        return True

    @property
    def position(self) -> str:
        """The position in the whole text, like `40 % of 1.5 MiB`; empty for an empty text."""
        size = self.text.size
        return f"{min(100 * self.visible_bytes[1] // size, 100)} % of {format_size(size)}" if size else ""

    @property
    def visible_bytes(self) -> tuple[int, int]:
        """The range of bytes that is visible."""
        first, last = (self._rows.line_of(row) for row in self.visible_rows)
        return self.text.offset(first), self.text.offset(last + 1)

    def set_pattern(self, pattern: str) -> None:
        """Highlight a text wherever it occurs, ignoring case."""
        self._pattern = pattern.lower()
        self.refresh()
