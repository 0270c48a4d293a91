"""Modal dialogs: a yes/no question, the same with a text to type, and a report."""

from collections.abc import Sequence
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tui.widgets.paint import StyledLine, to_content
from tui.widgets.text_view import TextView


class ConfirmDialog(ModalScreen[bool]):
    """A question that only `y` answers with yes; its result is the answer."""

    CSS_PATH = "dialogs.tcss"

    def __init__(self, title: str, lines: Sequence[StyledLine]) -> None:
        super().__init__()
        self._title = title
        self._lines = lines

    def compose(self) -> ComposeResult:
        """Lay out the question in a box."""
        with Vertical(id="box"):
            yield from _question(self._title, self._lines)
            yield Static(
                to_content([("y", "accent"), (" yes, do it   ", ""), ("any other key", "accent"), (" no", "")])
            )

    def on_key(self, event: events.Key) -> None:
        """Return the answer."""
        event.stop()
        self.dismiss(event.key == "y")

    def on_click(self) -> None:
        """Take a click as no."""
        self.dismiss(False)


class InputDialog(ModalScreen[str | None]):
    """A question that also takes a text; its result is the text, "" for yes without a text, or None for no.

    `y` is yes; a `required` text is typed after that and sent by enter, another one is reached by `tab` instead. A
    `form` asks for nothing but the text, which is typed at once. `label` says what the text is, `value` is what the
    input begins with.
    """

    CSS_PATH = "dialogs.tcss"
    AUTO_FOCUS = ""

    def __init__(
        self,
        title: str,
        lines: Sequence[StyledLine],
        *,
        label: str = "a reason",
        required: bool = False,
        form: bool = False,
        value: str = "",
    ) -> None:
        super().__init__()
        self._title = title
        self._lines = lines
        self._label = label
        self._required = required
        self._form = form
        self._value = value

    def compose(self) -> ComposeResult:
        """Lay out question and input in a box."""
        with VerticalScroll(id="box", can_focus=False):
            yield from _question(self._title, self._lines)
            field = Input(self._value, placeholder=self._label, select_on_focus=False)
            field.cursor_blink = False
            yield field
            yield Static(id="keys", markup=False)

    def on_mount(self) -> None:
        """Focus the input of a form."""
        if self._form:
            self.query_one(Input).focus()
        self._show_keys()

    def on_descendant_focus(self) -> None:
        """Show what the keys do now."""
        self._show_keys()

    def _show_keys(self) -> None:
        if self.focused:
            sends = f" send {self._label}   " if self._form else f" yes, with {self._label}   "
            keys = [("enter", "accent"), (sends, ""), ("esc", "accent"), (" no", "")]
        elif self._required:
            yes = f" yes, then type {self._label}   "
            keys = [("y", "accent"), (yes, ""), ("any other key", "accent"), (" no", "")]
        else:
            keys = [("y", "accent"), (" yes   ", ""), ("tab", "accent"), (f" give {self._label}   ", ""),
                    ("any other key", "accent"), (" no", "")]  # fmt: skip
        self.query_one("#keys", Static).update(to_content(keys))

    @on(Input.Submitted)
    def submitted(self, message: Input.Submitted) -> None:
        """Return the text; an empty one is neither yes nor no."""
        if message.value.strip():
            self.dismiss(message.value.strip())
        else:
            missing = f"{self._label} is needed here; esc is no"
            self.query_one("#keys", Static).update(to_content([(missing, "yellow")]))

    def on_key(self, event: events.Key) -> None:
        """Return the answer of a user who types no text."""
        if event.key == "escape" or self.focused is None:
            event.stop()
            event.prevent_default()
            yes = event.key == "y" and self.focused is None
            if (yes and self._required) or (event.key == "tab" and not self._required):
                self.query_one(Input).focus()
            else:
                self.dismiss("" if yes else None)


class ReportDialog(ModalScreen[None]):
    """A list of lines to read."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter", "dismiss(None)", "back", show=False)]

    def __init__(self, title: str, lines: list[StyledLine]) -> None:
        super().__init__()
        self._page: list[StyledLine] = [[(title, "bold")], [], *lines, [], [("esc back", "dim")]]

    def compose(self) -> ComposeResult:
        """Lay out the list in a box."""
        with Vertical(id="box", classes="tall"):
            yield TextView(self._page)

    def on_mount(self) -> None:
        """Focus the list, so that it can be scrolled."""
        self.query_one(TextView).focus()


def _question(title: str, lines: Sequence[StyledLine]) -> ComposeResult:
    yield Static(to_content([(title, "bold")]), markup=False)
    yield Static(" ")
    for line in lines:
        yield Static(to_content(line or [(" ", "")]), markup=False)
    yield Static(" ")
