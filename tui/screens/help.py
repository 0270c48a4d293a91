"""The keys of a screen, on a page over it."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen, Screen

from tui.screens.keys import deeds
from tui.widgets.lines import Painted
from tui.widgets.paint import Line


class HelpScreen(ModalScreen[None]):
    """A box over the screen that asked."""

    CSS = """
    HelpScreen {
        align: center middle;
        background: $background 60%;
        #box { width: 56; max-width: 95%; height: 80%; padding: 1 2; border: round $accent; background: $surface; }
        Painted { background: $surface; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "dismiss(None)", "back", show=False)
    ]

    def __init__(self, screen: Screen[object]) -> None:
        super().__init__()
        self._keys = _keys(screen)

    def compose(self) -> ComposeResult:
        """Put the keys in a box."""
        with Vertical(id="box"):
            yield Painted([[("Keys of this screen", "bold")], [], *self._keys, [], [("esc back", "dim")]])

    def on_mount(self) -> None:
        """Let the keys be scrolled."""
        self.query_one(Painted).focus()


def _keys(screen: Screen[object]) -> list[Line]:
    """Return a line for each deed: its keys, and what it does; what is not possible now is dimmed."""
    found = sorted(deeds(screen), key=lambda deed: deed.moves)
    return [
        [(f"{deed.names:18} ", "accent" if deed.possible else "dim"), (deed.what, "" if deed.possible else "dim")]
        for deed in found
    ]
