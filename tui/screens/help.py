"""The keys of a screen, read from its bindings, so that nothing is told that is not so."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen, Screen

from tui.screens.room import key_name
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
    """Return a line for each action: its keys, and what it does; what is not possible now is dimmed."""
    actions: dict[tuple[str, str], tuple[list[str], bool]] = {}
    for key, (_, binding, enabled, _) in screen.active_bindings.items():
        if binding.description:
            keys, _ = actions.setdefault((binding.action, binding.description), ([], enabled))
            keys.append(key_name(key))
    return [
        [(f"{' '.join(keys):18} ", "accent" if enabled else "dim"), (what, "" if enabled else "dim")]
        for (_, what), (keys, enabled) in actions.items()
    ]
