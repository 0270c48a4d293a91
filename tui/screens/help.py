"""The keys of a screen and what they do, read from its bindings, and the page that lists them."""

from collections.abc import Iterator
from typing import ClassVar

from msgspec import Struct
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen, Screen

from tui.screens.base import key_name
from tui.widgets.lines import LineView
from tui.widgets.paint import StyledLine
from tui.widgets.text_view import TextView

_SCROLLING = {(each.action, each.description) for each in LineView.BINDINGS if isinstance(each, Binding)}


class KeyAction(Struct):
    """Something that one or more keys do."""

    description: str
    keys: list[str]
    enabled: bool  # whether it has an effect now
    scrolls: bool  # whether it changes only what is visible

    @property
    def key_names(self) -> list[str]:
        """The keys as people write them."""
        return [key_name(key) for key in self.keys]


def key_actions(screen: Screen[object]) -> Iterator[KeyAction]:
    """Yield what the keys of a screen do, in the order of its bindings.

    Textual's own bindings, whose descriptions begin with a capital, are left out.
    """
    found: dict[tuple[str, str], KeyAction] = {}
    for key, (_, binding, enabled, _) in screen.active_bindings.items():
        if not binding.description or binding.description[0].isupper():
            continue
        identity = (binding.action, binding.description)
        action = found.setdefault(identity, KeyAction(binding.description, [], enabled, identity in _SCROLLING))
        action.keys.append(key)
    yield from found.values()


class HelpScreen(ModalScreen[None]):
    """List of keys, in a box over the screen they belong to."""

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
        self._lines = _key_lines(screen)

    def compose(self) -> ComposeResult:
        """Lay out the list in a box."""
        with Vertical(id="box"):
            yield TextView([[("Keys of this screen", "bold")], [], *self._lines, [], [("esc back", "dim")]])

    def on_mount(self) -> None:
        """Focus the list, so that it can be scrolled."""
        self.query_one(TextView).focus()


def _key_lines(screen: Screen[object]) -> list[StyledLine]:
    """Return a line for each action, keys for scrolling last; an action without effect now is dimmed."""
    return [
        [
            (f"{' '.join(action.key_names):18} ", "accent" if action.enabled else "dim"),
            (action.description, "" if action.enabled else "dim"),
        ]
        for action in sorted(key_actions(screen), key=lambda action: action.scrolls)
    ]
