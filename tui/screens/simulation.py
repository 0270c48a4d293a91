"""What other rails would have said of what came in: each delivery of which they say something else, and why."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from shared import ids
from tui.plain import plain, width
from tui.reasons import headline
from tui.screens.room import Room, crumb
from tui.simulated import Change, Simulation, because, subject, summary, turn
from tui.widgets import pages
from tui.widgets.bar import Bar, Word
from tui.widgets.lines import Painted
from tui.widgets.paint import Line
from tui.widgets.rows import Rows


class Changes(Rows):
    """A line for each delivery that would be decided otherwise."""

    def __init__(self, changed: tuple[Change, ...]) -> None:
        super().__init__(id="changes")
        self._changed = changed
        self._turn = max((width(turn(each)) for each in changed), default=0)

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._changed)

    @property
    def change(self) -> Change | None:
        """The one under the cursor."""
        return self._changed[self.cursor] if self._changed else None

    def draw(self, at: int, cells: int) -> Line:  # noqa: ARG002 (the reason is cut by the screen)
        """Return the line of one."""
        each = self._changed[at]
        return [
            (f"  {plain(ids.short(each.delivery_id))}  ", ""),
            (f"{turn(each):{self._turn}}  ", headline(each.after)[1]),
            (subject(each), ""),
            (f"  {because(each.decision)}", "dim"),
        ]


class SimulationScreen(Room):
    """The changes over the whole decision of one of them."""

    CSS = """
    SimulationScreen {
        #list { height: 1fr; }
        #empty { display: none; }
        #why { height: 1fr; border-top: solid $surface-lighten-2; padding: 0 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("y", "copy", "copy id", show=False)]

    def __init__(self, simulation: Simulation, path: str = "") -> None:
        super().__init__()
        self._simulation = simulation
        self._path = path

    def body(self) -> ComposeResult:
        """Put the list over the decision."""
        yield Bar(id="summary")
        with Vertical(id="list"):
            yield Changes(self._simulation.changed)
            yield Bar(id="empty")
        yield Painted(id="why")

    def title_words(self) -> list[Word]:
        """Return the name of the place."""
        return [crumb("Rails"), ("simulation", "bold", ""), (f"  {plain(self._path)}", "dim", "")]

    @property
    def changes(self) -> Changes:
        """The list."""
        return self.query_one(Changes)

    def on_mount(self) -> None:
        """Show it all: it is here already."""
        found = self._simulation
        against = f"{plain(found.revision)} " if found.revision else ""
        self.query_one("#summary", Bar).show([(f" {summary(found)}", "bold", "")], [(against, "dim", "")])
        empty = self.query_one("#empty", Bar)
        empty.display = not found.changed
        empty.show([("  each of them would be decided as it was", "dim", "")])
        self.changes.focus()
        self.changes.recount()
        self.call_after_refresh(self.moved)

    def on_resize(self) -> None:
        """Fold for the new width."""
        self.call_after_refresh(self.moved)

    @on(Rows.Moved)
    def moved(self) -> None:
        """Show the decision of the one that is meant."""
        page, change = self.query_one("#why", Painted), self.changes.change
        page.show(pages.why(change.decision, max(page.room - 2, 20)) if change else [])
        page.jump(0)

    @on(Rows.Opened)
    def opened(self) -> None:
        """Show the decision as it was."""
        if self.changes.change:
            self.house.show_why(self.changes.change.delivery_id)

    def action_copy(self) -> None:
        """Put the id on the clipboard, through the terminal."""
        if self.changes.change:
            self.house.copy(self.changes.change.delivery_id)
