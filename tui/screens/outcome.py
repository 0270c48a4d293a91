"""What became of each of many jobs, item by item."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from shared import ids
from shared.models import BulkResult
from tui.plain import plain
from tui.widgets.lines import Painted
from tui.widgets.paint import Line
from tui.wording import state


class Outcome(ModalScreen[None]):
    """A list in a box."""

    CSS_PATH = "confirm.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter", "dismiss(None)", "back", show=False)]

    def __init__(self, title: str, lines: list[Line]) -> None:
        super().__init__()
        self._page: list[Line] = [[(title, "bold")], [], *lines, [], [("esc back", "dim")]]

    def compose(self) -> ComposeResult:
        """Put the list in a box."""
        with Vertical(id="box", classes="tall"):
            yield Painted(self._page)

    def on_mount(self) -> None:
        """Let the list be scrolled."""
        self.query_one(Painted).focus()


def told(verb: str, result: BulkResult) -> list[Line]:
    """Return a line for each job, those first that it was not done to."""
    lines: list[Line] = []
    for item in sorted(result.items, key=lambda item: item.ok):
        now = state(item.status, cancelling=item.ok and verb == "cancel")
        why = "" if item.ok else f"  not done: {plain(str(item.code))}"
        lines.append([(f"{plain(ids.short(item.id))}  ", ""), (f"{now.glyph} {now.word:10}", now.colour), (why, "red")])
    return lines
