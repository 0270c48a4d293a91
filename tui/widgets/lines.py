"""Lines on screen, drawn one by one when they are seen: any number of them costs the same."""

from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.widgets.paint import Palette, StyledLine, highlight

# merged from tui.widgets.rows: Lines with a cursor: one of them is meant, and can be opened.

WHEEL = 3  # lines


class LineView(ScrollView, can_focus=True):
    """Text that is scrolled; `count` lines, each of them drawn by `draw`."""

    DEFAULT_CSS = """
    Lines {
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
        self.left = 0  # cells that are scrolled out on the left
        self.faded = False  # what is shown may be out of date
        self._palette: Palette | None = None
        self._ground: Style | None = None

    @property
    def count(self) -> int:
        """How many lines there are."""
        raise NotImplementedError

    def draw(self, at: int, cells: int) -> StyledLine:
        """Return one line, plain already, for a width in cells."""
        raise NotImplementedError

    def row_style(self, _at: int) -> str:
        """Return the style that lies over a whole line."""
        return "dim" if self.faded else ""

    @property
    def line_width(self) -> int:
        """How many cells a line may have, beside the scrollbar."""
        return self.scrollable_content_region.width

    def recount(self) -> None:
        """Draw all lines anew, after their number may have changed."""
        self.virtual_size = Size(self.line_width, self.count)
        self.refresh()

    def fade(self, *, faded: bool) -> None:
        """Dim everything, or no longer."""
        if faded is not self.faded:
            self.faded = faded
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        if self._palette is None or self._ground is None:
            self._palette, self._ground = Palette(self.app.theme_variables), self.rich_style
        ground = self._ground
        at = y + self.scroll_offset.y
        if at >= self.count:
            return Strip.blank(self.line_width, ground)
        return self._palette.strip(
            self.draw(at, self.line_width), self.left, self.line_width, ground, self.row_style(at)
        )

    def notify_style_update(self) -> None:
        """Forget the colours of another theme."""
        super().notify_style_update()
        self._palette = self._ground = None

    def on_resize(self) -> None:
        """Draw for the new width."""
        self.recount()

    def jump(self, y: int) -> None:
        """Scroll so that line `y` is the first, without an animation."""
        self.scroll_to(y=y, animate=False, force=True)  # the scrollbar may not be there yet,
        self.vertical_scrollbar.position = self.scroll_y  # and one that is not there is not told

    @property
    def visible_rows(self) -> tuple[int, int]:
        """The first and the last line that can be seen."""
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
        """Scroll to the side."""
        self.left = max(self.left + by, 0)
        self.refresh()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll with the wheel."""
        event.stop()
        event.prevent_default()
        self.jump(self.scroll_offset.y + WHEEL)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll with the wheel."""
        event.stop()
        event.prevent_default()
        self.jump(self.scroll_offset.y - WHEEL)


class TextView(LineView):
    """Lines that are all there: a page of text."""

    def __init__(self, lines: list[StyledLine] | None = None, *, id: str | None = None) -> None:  # noqa: A002 (as above)
        super().__init__(id=id)
        self._lines: list[StyledLine] = lines or []
        self._pattern = ""

    @property
    def count(self) -> int:
        """How many lines there are."""
        return len(self._lines)

    def draw(self, at: int, cells: int) -> StyledLine:  # noqa: ARG002 (a page of text is as wide as it is)
        """Return one of them."""
        return highlight(self._lines[at], self._pattern)

    def show(self, lines: list[StyledLine]) -> None:
        """Show other lines."""
        self._lines = lines
        self.recount()

    @property
    def text(self) -> list[str]:
        """What the lines say."""
        return ["".join(text for text, _ in line) for line in self._lines]

    def find(self, pattern: str, *, backward: bool) -> bool:
        """Mark a text in any case, and go to the next line below or above the first one seen that holds it."""
        self._pattern = pattern.lower()
        self.refresh()
        top = self.scroll_offset.y
        rows = range(top - 1, -1, -1) if backward else range(top + 1, self.count)
        text = self.text
        at = next((row for row in rows if self._pattern in text[row].lower()), None)
        if at is not None:
            self.jump(at)
        return at is not None or any(self._pattern in line.lower() for line in text[top : top + self.size.height])


class RowView(LineView):
    """A list; `cursor` is the row that is meant, always one of those there are, or 0."""

    BINDINGS = [Binding("enter", "open", "open")]  # noqa: RUF012 (Textual's own way)

    class Moved(Message):
        """The cursor, or what can be seen, is another."""

        def __init__(self, rows: "RowView | None" = None) -> None:
            super().__init__()
            self._rows = rows

        @property
        def control(self) -> "RowView | None":
            """The list; None where one that is not said tells it."""
            return self._rows

    class Opened(Message):
        """The row under the cursor is to be opened."""

        def __init__(self, rows: "RowView | None" = None) -> None:
            super().__init__()
            self._rows = rows

        @property
        def control(self) -> "RowView | None":
            """The list; None where one that is not said tells it."""
            return self._rows

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(id=id)
        self.cursor = 0

    def row_style(self, at: int) -> str:
        """Mark the cursor; without focus it is only bold."""
        style = super().row_style(at)
        if at != self.cursor:
            return style
        return f"{style} reverse" if self.has_focus or self.screen.focused is None else f"{style} bold"

    def move(self, row: int) -> None:
        """Set the cursor, and scroll as far as is needed to see it."""
        row = max(0, min(row, self.count - 1))
        before, self.cursor = self.cursor, row
        self.refresh_lines(before)
        self.refresh_lines(row)
        self.reveal()
        self.post_message(self.Moved(self))

    def reveal(self) -> None:
        """Scroll as far as is needed to see the cursor."""
        top, bottom = self.visible_rows
        if self.cursor < top:
            self.jump(self.cursor)
        elif self.cursor > bottom:
            self.jump(self.cursor - max(self.size.height, 1) + 1)

    def recount(self) -> None:
        """Keep the cursor among the rows."""
        self.cursor = max(0, min(self.cursor, self.count - 1))
        super().recount()

    def on_resize(self) -> None:
        """Keep the cursor in sight."""
        self.call_after_refresh(self.reveal)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Tell that other rows are seen."""
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
        """Move to the last row that is known."""
        self.move(self.count - 1)

    def action_open(self) -> None:
        """Open the row under the cursor."""
        if self.count:
            self.post_message(self.Opened(self))

    def on_click(self, event: events.Click) -> None:
        """Move the cursor; a second click opens."""
        row = event.y + self.scroll_offset.y
        if row >= self.count:
            return
        self.move(row)
        if event.chain == 2:
            self.action_open()
