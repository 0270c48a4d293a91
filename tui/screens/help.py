"""The keys of a screen, on a page over it."""

from collections.abc import Iterator
from typing import ClassVar

from msgspec import Struct
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen, Screen

from tui.cli.verbs import VERBS
from tui.screens.base import key_name
from tui.widgets.lines import LineView, TextView
from tui.widgets.paint import StyledLine

# merged from tui.screens.keys: The keys of a screen by what they do, read from its bindings, so that nothing
# is told that is not so.

_SCROLLING = {(each.action, each.description) for each in LineView.BINDINGS if isinstance(each, Binding)}


class KeyAction(Struct):
    """Something that keys do: what it is called, the keys, and whether it is possible now."""

    what: str
    keys: list[str]
    possible: bool
    moves: bool  # only what is seen

    @property
    def names(self) -> str:
        """The keys as people write them."""
        return " ".join(map(key_name, self.keys))

    @property
    def help(self) -> str:
        """The key, and how the same is written on a command line, where it is a verb there."""
        verb = f" · stitcher {self.what}" if self.what in VERBS else ""
        return f"key {key_name(self.keys[0])}{verb}"


def key_actions(screen: Screen[object]) -> Iterator[KeyAction]:
    """Yield what the keys of a screen do, in the order of its bindings; Textual's own names begin with a capital."""
    found: dict[tuple[str, str], KeyAction] = {}
    for key, (_, binding, enabled, _) in screen.active_bindings.items():
        if not binding.description or binding.description[0].isupper():
            continue
        name = (binding.action, binding.description)
        deed = found.setdefault(name, KeyAction(binding.description, [], enabled, name in _SCROLLING))
        deed.keys.append(key)
    yield from found.values()


class HelpScreen(ModalScreen[None]):
    """A box over the screen that asked."""

    CSS = """
    HelpScreen {
        align: center middle;
        background: $background 60%;
        #box { width: 56; max-width: 95%; height: 80%; padding: 1 2; border: round $accent; background: $surface; }
        TextView { background: $surface; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "dismiss(None)", "back", show=False)
    ]

    def __init__(self, screen: Screen[object]) -> None:
        super().__init__()
        self._keys = _key_lines(screen)

    def compose(self) -> ComposeResult:
        """Put the keys in a box."""
        with Vertical(id="box"):
            yield TextView([[("Keys of this screen", "bold")], [], *self._keys, [], [("esc back", "dim")]])

    def on_mount(self) -> None:
        """Let the keys be scrolled."""
        self.query_one(TextView).focus()


def _key_lines(screen: Screen[object]) -> list[StyledLine]:
    """Return a line for each deed: its keys, and what it does; what is not possible now is dimmed."""
    found = sorted(key_actions(screen), key=lambda deed: deed.moves)
    return [
        [(f"{deed.names:18} ", "accent" if deed.possible else "dim"), (deed.what, "" if deed.possible else "dim")]
        for deed in found
    ]
