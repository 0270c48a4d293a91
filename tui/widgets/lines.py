"""Scrolling views of lines, with and without a cursor; only visible lines are drawn, so any number can be shown."""

from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.widgets.paint import Palette, StyledLine

WHEEL_LINES = 3


class LineView(ScrollView, can_focus=True):
    """A scrolling view; subclasses provide `count`, the number of lines, and `draw`, the content of one."""

    DEFAULT_CSS = """
    LineView {
        height: 1fr;
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-size-vertical: 1;
        scrollbar-gutter: stable;
        background: $background;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "go(-1)", "up", show=False),
        Binding("down,j", "go(1)", "down", show=False),
        Binding("pageup,ctrl+u", "page(-1)", "page up", show=False),
        Binding("pagedown,ctrl+d", "page(1)", "page down", show=False),
        Binding("home,g", "first", "first", show=False),
        Binding("end,G", "last", "last", show=False),
        Binding("left,h", "sideways(-8)", "left", show=False),
        Binding("right,l", "sideways(8)", "right", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(id=id)
        self.left = 0  # cells scrolled out of view on the left
        self.faded = False  # drawn dim, because the content may be out of date
        self._palette: Palette | None = None
        self._background: Style | None = None

    @property
    def count(self) -> int:
        """The number of lines."""
        raise NotImplementedError

    def draw(self, at: int, cells: int) -> StyledLine:
        """Return one line for a width in cells; its text must be plain (see tui.text.plain)."""
        raise NotImplementedError

    def row_style(self, _row: int) -> str:
        """Return the style that is applied over a whole line."""
        return "dim" if self.faded else ""

    @property
    def line_width(self) -> int:
        """The width of a line in cells, without the scrollbar."""
        return self.scrollable_content_region.width

    def recount(self) -> None:
        """Redraw all lines after their number may have changed."""
        self.virtual_size = Size(self.line_width, self.count)
        self.refresh()

    def fade(self, *, faded: bool) -> None:
        """Draw everything dim, or normal again."""
        if faded is not self.faded:
            self.faded = faded
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        if self._palette is None or self._background is None:
            self._palette, self._background = Palette(self.app.theme_variables), self.rich_style
        background = self._background
        at = y + self.scroll_offset.y
        if at >= self.count:
            return Strip.blank(self.line_width, background)
        return self._palette.strip(
            self.draw(at, self.line_width), self.left, self.line_width, background, self.row_style(at)
        )

    def notify_style_update(self) -> None:
        """Drop the colours of the previous theme."""
        super().notify_style_update()
        self._palette = self._background = None

    def on_resize(self) -> None:
        """Redraw for the new width."""
        self.recount()

    def jump(self, y: int) -> None:
        """Scroll without animation so that line `y` is at the top."""
        # Force it, and set the position of the scrollbar: a scrollbar that is not shown yet is not updated by Textual.
        self.scroll_to(y=y, animate=False, force=True)
        self.vertical_scrollbar.position = self.scroll_y

    @property
    def visible_rows(self) -> tuple[int, int]:
        """The first and the last visible row."""
        top = self.scroll_offset.y
        return top, top + max(self.size.height, 1) - 1

    def action_go(self, by: int) -> None:
        """Scroll by lines."""
        self.jump(self.scroll_offset.y + by)

    def action_page(self, by: int) -> None:
        """Scroll by screens."""
        self.action_go(by * max(self.size.height - 1, 1))

    def action_first(self) -> None:
        """Scroll to the beginning."""
        self.jump(0)

    def action_last(self) -> None:
        """Scroll to the end."""
        self.jump(self.count)

    def action_sideways(self, by: int) -> None:
        """Scroll horizontally by cells."""
        self.left = max(self.left + by, 0)
        self.refresh()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll with the wheel."""
        event.stop()
        event.prevent_default()
        self.jump(self.scroll_offset.y + WHEEL_LINES)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll with the wheel."""
        event.stop()
        event.prevent_default()
        self.jump(self.scroll_offset.y - WHEEL_LINES)


class RowView(LineView):
    """A list with a cursor; `cursor` is the selected row, or 0 if there are none."""

    BINDINGS = [Binding("enter", "open", "open")]  # noqa: RUF012 (Textual's own way)

    class Moved(Message):
        """The cursor or the visible rows have changed."""

        def __init__(self, rows: "RowView | None" = None) -> None:
            super().__init__()
            self._rows = rows

        @property
        def control(self) -> "RowView | None":
            """The list that sent this, if known."""
            return self._rows

    class Opened(Message):
        """The selected row is to be opened."""

        def __init__(self, rows: "RowView | None" = None) -> None:
            super().__init__()
            self._rows = rows

        @property
        def control(self) -> "RowView | None":
            """The list that sent this, if known."""
            return self._rows

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(id=id)
        self.cursor = 0

    def row_style(self, row: int) -> str:
        """Highlight the cursor; without focus it is only bold."""
        style = super().row_style(row)
        if row != self.cursor:
            return style
        return f"{style} reverse" if self.has_focus or self.screen.focused is None else f"{style} bold"

    def move(self, row: int) -> None:
        """Set the cursor, and scroll as far as needed to show it."""
        row = max(0, min(row, self.count - 1))
        before, self.cursor = self.cursor, row
        self.refresh_lines(before)
        self.refresh_lines(row)
        self.reveal()
        self.post_message(self.Moved(self))

    def reveal(self) -> None:
        """Scroll as far as needed to show the cursor."""
        top, bottom = self.visible_rows
        if self.cursor < top:
            self.jump(self.cursor)
        elif self.cursor > bottom:
            self.jump(self.cursor - max(self.size.height, 1) + 1)

    def recount(self) -> None:
        """Redraw all rows; keep the cursor within them."""
        self.cursor = max(0, min(self.cursor, self.count - 1))
        super().recount()

    def on_resize(self) -> None:
        """Keep the cursor visible."""
        self.call_after_refresh(self.reveal)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Report that the visible rows have changed."""
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self.post_message(self.Moved(self))

    def action_go(self, by: int) -> None:
        """Move the cursor by rows."""
        self.move(self.cursor + by)

    def action_first(self) -> None:
        """Move to the first row."""
        self.move(0)

    def action_last(self) -> None:
        """Move to the last known row."""
        self.move(self.count - 1)

    def action_open(self) -> None:
        """Open the selected row."""
        if self.count:
            self.post_message(self.Opened(self))

    def on_click(self, event: events.Click) -> None:
        """Move the cursor; open the row on a double click."""
        row = event.y + self.scroll_offset.y
        if row >= self.count:
            return
        self.move(row)
        if event.chain == 2:
            self.action_open()
