"""What other rails would have said of what came in: each delivery of which they say something else, and why."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from shared import ids
from shared.api import RailsFaults, SimulationChange, SimulationResult
from shared.locations import RAILS_FILE
from tui.client.http import ApiError, DaemonClient, InvalidResponse, NotUtf8, decode
from tui.screens.base import REFUSALS, BaseScreen, crumb
from tui.screens.dialogs import ReasonDialog, ReportDialog
from tui.text.decisions import verdict_headline
from tui.text.plain import plain, width
from tui.text.simulation import change_subject, explain_decision, simulate, simulation_summary, verdict_change
from tui.widgets import pages
from tui.widgets.bar import Bar, BarSegment
from tui.widgets.lines import RowView, TextView
from tui.widgets.paint import StyledLine, wrap_line

if TYPE_CHECKING:
    from tui.app.app import StitcherApp

# merged from tui.screens.simulating: A text of rails.yaml on trial: which file, and whether it is good at
# all.

FAULT_CELLS = 54  # cells of a line in the box
SIMULATION_HELP = "The deliveries that came in last are decided again under it; nothing is stored, and nothing runs."


async def simulate_file(app: "StitcherApp") -> None:
    """Ask for a file, and show what it would have decided; or what is wrong with it."""
    given = str(app.config / RAILS_FILE)
    question = ReasonDialog(
        "Simulate which file?", [[(SIMULATION_HELP, "dim")]], hint="a path", needed=True, given=given
    )
    path = await app.push_screen_wait(question)
    if path is None:
        return
    try:
        simulation = await app.ask(_simulate, app.daemon, path)
    except ApiError as refused:
        faults = _fault_lines(refused, path)
        if not faults:
            raise
        app.push_screen(ReportDialog("These rails are no good", faults))
    except OSError as error:
        app.say(f"{error.strerror}: {path}", wrong=True)
    except REFUSALS as said:
        app.say(str(said), wrong=True)
    else:
        app.action_open("simulation", simulation, path)


def _simulate(daemon: DaemonClient, path: str) -> SimulationResult:
    try:
        text = Path(os.path.expanduser(path)).read_text("utf-8")  # noqa: PTH111 (Path.expanduser raises for ~stranger)
    except UnicodeDecodeError as error:
        raise NotUtf8(f"{plain(path)} is not UTF-8") from error
    return simulate(daemon, text)


def _fault_lines(refused: ApiError, path: str) -> list[StyledLine]:
    try:
        found = decode(refused.document, RailsFaults).faults
    except InvalidResponse:
        return []
    lines: list[StyledLine] = []
    for fault in found:
        lines.append([(f"{plain(Path(path).name)}:{fault.line}:{fault.column}", "dim")])
        lines += [[(f"  {part}", "red")] for part in wrap_line(plain(fault.message), FAULT_CELLS)]
    return lines


class ChangeList(RowView):
    """A line for each delivery that would be decided otherwise."""

    def __init__(self, changed: tuple[SimulationChange, ...]) -> None:
        super().__init__(id="changes")
        self._changed = changed
        self._turn = max((width(verdict_change(each)) for each in changed), default=0)

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._changed)

    @property
    def change(self) -> SimulationChange | None:
        """The one under the cursor."""
        return self._changed[self.cursor] if self._changed else None

    def draw(self, at: int, cells: int) -> StyledLine:  # noqa: ARG002 (the reason is cut by the screen)
        """Return the line of one."""
        each = self._changed[at]
        return [
            (f"  {plain(ids.short_id(each.delivery_id))}  ", ""),
            (f"{verdict_change(each):{self._turn}}  ", verdict_headline(each.after)[1]),
            (change_subject(each), ""),
            (f"  {explain_decision(each.decision)}", "dim"),
        ]


class SimulationScreen(BaseScreen):
    """The changes over the whole decision of one of them."""

    CSS = """
    SimulationScreen {
        #list { height: 1fr; }
        #empty { display: none; }
        #why { height: 1fr; border-top: solid $surface-lighten-2; padding: 0 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("y", "copy", "copy id", show=False)]

    def __init__(self, simulation: SimulationResult, path: str = "") -> None:
        super().__init__()
        self._simulation = simulation
        self._path = path

    def body(self) -> ComposeResult:
        """Put the list over the decision."""
        yield Bar(id="summary")
        with Vertical(id="list"):
            yield ChangeList(self._simulation.changed)
            yield Bar(id="empty")
        yield TextView(id="why")

    def title_words(self) -> list[BarSegment]:
        """Return the name of the place."""
        return [crumb("Rails"), ("simulation", "bold", ""), (f"  {plain(self._path)}", "dim", "")]

    @property
    def changes(self) -> ChangeList:
        """The list."""
        return self.query_one(ChangeList)

    def on_mount(self) -> None:
        """Show it all: it is here already."""
        found = self._simulation
        against = f"{plain(found.revision)} " if found.revision else ""
        self.query_one("#summary", Bar).show([(f" {simulation_summary(found)}", "bold", "")], [(against, "dim", "")])
        empty = self.query_one("#empty", Bar)
        empty.display = not found.changed
        empty.show([("  each of them would be decided as it was", "dim", "")])
        self.changes.focus()
        self.changes.recount()
        self.call_after_refresh(self.moved)

    def on_resize(self) -> None:
        """Fold for the new width."""
        self.call_after_refresh(self.moved)

    @on(RowView.Moved)
    def moved(self) -> None:
        """Show the decision of the one that is meant."""
        page, change = self.query_one("#why", TextView), self.changes.change
        page.show(pages.decision_page(change.decision, max(page.line_width - 2, 20)) if change else [])
        page.jump(0)

    @on(RowView.Opened)
    def opened(self) -> None:
        """Show the decision as it was."""
        if self.changes.change:
            self.house.show_why(self.changes.change.delivery_id)

    def action_copy(self) -> None:
        """Put the id on the clipboard, through the terminal."""
        if self.changes.change:
            self.house.copy(self.changes.change.delivery_id)
