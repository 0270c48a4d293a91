"""Where one types what to look for."""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input


class FindBar(Input):
    """One line; enter looks for it, escape leaves."""

    DEFAULT_CSS = """
    FindBar, FindBar:focus { display: none; height: 1; border: none; padding: 0 1; background: $surface; dock: bottom; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "find"),
        Binding("escape", "leave", "leave", priority=True),
    ]

    class Left(Message):
        """Nothing was entered."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(id=id)
        self.cursor_blink = False

    def open(self, what: str, text: str) -> None:
        """Take the very next key, to say what is to be done with what is typed."""
        self.placeholder = what
        self.value = text
        self.display = True
        self.screen.set_focus(self)
        self.action_end()

    def close(self, back: Widget) -> None:
        """Hide, and give the keys back."""
        self.display = False
        self.screen.set_focus(back)

    def action_leave(self) -> None:
        """Go back."""
        self.post_message(self.Left())
