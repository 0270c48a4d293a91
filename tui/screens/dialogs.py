"""The question whether a waiting job may run: it tells what would happen, and takes a reason along."""

from collections.abc import Sequence
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tui.widgets.lines import TextView
from tui.widgets.paint import StyledLine, to_content

# merged from tui.screens.outcome: What became of each of many jobs, item by item.
# merged from tui.screens.confirm: The question before something is done: it names what happens, `y` is yes,
# and all else is no.


class ReasonDialog(ModalScreen[str | None]):
    """Asks, and takes a few words along; dismissed with them, empty where there are none, or with None for no.

    Where they are `needed` they are typed at once, and enter sends them. Else `y` is yes, and `tab` leads to them.
    """

    CSS_PATH = "confirm.tcss"
    AUTO_FOCUS = ""

    def __init__(
        self, title: str, lines: Sequence[StyledLine], *, hint: str = "a reason", needed: bool = False, given: str = ""
    ) -> None:
        super().__init__()
        self._title = title
        self._lines = lines
        self._hint = hint
        self._needed = needed
        self._given = given

    def compose(self) -> ComposeResult:
        """Put the question in a box."""
        with VerticalScroll(id="box", can_focus=False):
            yield Static(to_content([(self._title, "bold")]), markup=False)
            yield Static(" ")
            for line in self._lines:
                yield Static(to_content(line or [(" ", "")]), markup=False)
            yield Static(" ")
            field = Input(self._given, placeholder=self._hint, select_on_focus=False)
            field.cursor_blink = False
            yield field
            yield Static(id="keys", markup=False)

    def on_mount(self) -> None:
        """Let a reason that is needed be typed at once."""
        if self._needed:
            self.query_one(Input).focus()
        self._say()

    def on_descendant_focus(self) -> None:
        """Say what the keys do now."""
        self._say()

    def _say(self) -> None:
        if self.focused:
            keys = [("enter", "accent"), (f" yes, with {self._hint}   ", ""), ("esc", "accent"), (" no", "")]
        else:
            keys = [("y", "accent"), (" yes   ", ""), ("tab", "accent"), (f" give {self._hint}   ", ""),
                    ("any other key", "accent"), (" no", "")]  # fmt: skip
        self.query_one("#keys", Static).update(to_content(keys))

    @on(Input.Submitted)
    def entered(self, message: Input.Submitted) -> None:
        """Take the reason for yes; an empty one is neither yes nor no."""
        if message.value.strip():
            self.dismiss(message.value.strip())
        else:
            self.query_one("#keys", Static).update(to_content([(f"{self._hint} is needed here; esc is no", "yellow")]))

    def on_key(self, event: events.Key) -> None:
        """Take the answer of who gives no reason."""
        if event.key == "escape" or self.focused is None:
            event.stop()
            event.prevent_default()
            if event.key == "tab":
                self.query_one(Input).focus()
            else:
                self.dismiss("" if event.key == "y" and not self.focused else None)


class ConfirmDialog(ModalScreen[bool]):
    """Asks one question; dismissed with the answer."""

    CSS_PATH = "confirm.tcss"

    def __init__(self, title: str, lines: Sequence[StyledLine]) -> None:
        super().__init__()
        self._title = title
        self._lines = lines

    def compose(self) -> ComposeResult:
        """Put the question in a box."""
        with Vertical(id="box"):
            yield Static(to_content([(self._title, "bold")]), markup=False)
            yield Static(" ")
            for line in self._lines:
                yield Static(to_content(line or [(" ", "")]), markup=False)
            yield Static(" ")
            yield Static(
                to_content([("y", "accent"), (" yes, do it   ", ""), ("any other key", "accent"), (" no", "")])
            )

    def on_key(self, event: events.Key) -> None:
        """Take the answer."""
        event.stop()
        self.dismiss(event.key == "y")

    def on_click(self) -> None:
        """Take a click for no."""
        self.dismiss(False)


class ReportDialog(ModalScreen[None]):
    """A list in a box."""

    CSS_PATH = "confirm.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter", "dismiss(None)", "back", show=False)]

    def __init__(self, title: str, lines: list[StyledLine]) -> None:
        super().__init__()
        self._page: list[StyledLine] = [[(title, "bold")], [], *lines, [], [("esc back", "dim")]]

    def compose(self) -> ComposeResult:
        """Put the list in a box."""
        with Vertical(id="box", classes="tall"):
            yield TextView(self._page)

    def on_mount(self) -> None:
        """Let the list be scrolled."""
        self.query_one(TextView).focus()
