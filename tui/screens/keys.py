"""The keys of a screen by what they do, read from its bindings, so that nothing is told that is not so."""

from collections.abc import Iterator

from msgspec import Struct
from textual.binding import Binding
from textual.screen import Screen

from tui.screens.room import key_name
from tui.verbs import VERBS
from tui.widgets.lines import Lines

_MOVES = {(each.action, each.description) for each in Lines.BINDINGS if isinstance(each, Binding)}


class Deed(Struct):
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


def deeds(screen: Screen[object]) -> Iterator[Deed]:
    """Yield what the keys of a screen do, in the order of its bindings; Textual's own names begin with a capital."""
    found: dict[tuple[str, str], Deed] = {}
    for key, (_, binding, enabled, _) in screen.active_bindings.items():
        if not binding.description or binding.description[0].isupper():
            continue
        name = (binding.action, binding.description)
        deed = found.setdefault(name, Deed(binding.description, [], enabled, name in _MOVES))
        deed.keys.append(key)
    yield from found.values()
