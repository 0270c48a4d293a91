"""Lines with a cursor: one of them is meant, and can be opened."""

from textual import events
from textual.binding import Binding
from textual.message import Message

from tui.widgets.lines import Lines


class Rows(Lines):
    """A list; `cursor` is the row that is meant, always one of those there are, or 0."""

    BINDINGS = [Binding("enter", "open", "open")]  # noqa: RUF012 (Textual's own way)

    class Moved(Message):
        """The cursor, or what can be seen, is another."""

        def __init__(self, rows: "Rows | None" = None) -> None:
            super().__init__()
            self._rows = rows

        @property
        def control(self) -> "Rows | None":
            """The list; None where one that is not said tells it."""
            return self._rows

    class Opened(Message):
        """The row under the cursor is to be opened."""

        def __init__(self, rows: "Rows | None" = None) -> None:
            super().__init__()
            self._rows = rows

        @property
        def control(self) -> "Rows | None":
            """The list; None where one that is not said tells it."""
            return self._rows

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(id=id)
        self.cursor = 0

    def over(self, at: int) -> str:
        """Mark the cursor; without focus it is only bold."""
        style = super().over(at)
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
        top, bottom = self.window
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
