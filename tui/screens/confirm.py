"""The question before something is done: it names what happens, `y` is yes, and all else is no."""

from collections.abc import Sequence

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.widgets.paint import Line, content


class Confirm(ModalScreen[bool]):
    """Asks one question; dismissed with the answer."""

    CSS_PATH = "confirm.tcss"

    def __init__(self, title: str, lines: Sequence[Line]) -> None:
        super().__init__()
        self._title = title
        self._lines = lines

    def compose(self) -> ComposeResult:
        """Put the question in a box."""
        with Vertical(id="box"):
            yield Static(content([(self._title, "bold")]), markup=False)
            yield Static(" ")
            for line in self._lines:
                yield Static(content(line or [(" ", "")]), markup=False)
            yield Static(" ")
            yield Static(content([("y", "accent"), (" yes, do it   ", ""), ("any other key", "accent"), (" no", "")]))

    def on_key(self, event: events.Key) -> None:
        """Take the answer."""
        event.stop()
        self.dismiss(event.key == "y")

    def on_click(self) -> None:
        """Take a click for no."""
        self.dismiss(False)
