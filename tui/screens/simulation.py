"""The screen of a simulation: past deliveries that other rails would decide differently, and the decision on each."""

import os
from pathlib import Path
from typing import ClassVar

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from shared import ids
from shared.api import Problem, SimulationChange, SimulationResult
from shared.locations import RAILS_FILE
from tui.client import api
from tui.client.http import ApiError, DaemonClient, NotUtf8
from tui.screens.base import BaseScreen, breadcrumb
from tui.screens.dialogs import InputDialog, ReportDialog
from tui.screens.session import DAEMON_ERRORS, Session
from tui.text.decisions import verdict_headline
from tui.text.plain import plain
from tui.text.simulation import (
    SIMULATED_DELIVERIES,
    change_subject,
    explain_decision,
    simulation_summary,
    verdict_change,
)
from tui.widgets import pages
from tui.widgets.bar import Bar, BarSegment
from tui.widgets.lines import RowView
from tui.widgets.paint import StyledLine, wrap_line
from tui.widgets.text_view import TextView

FAULT_CELLS = 54  # of a line in the report of faults
SIMULATION_HELP = "The latest deliveries are decided again under it; nothing is stored, and nothing runs."


class ChangeList(RowView):
    """The deliveries that would be decided differently."""

    def __init__(self, changed: tuple[SimulationChange, ...]) -> None:
        super().__init__(id="changes")
        self._changed = changed
        self._verdict_cells = max((cell_len(verdict_change(each)) for each in changed), default=0)

    @property
    def count(self) -> int:
        """The number of deliveries."""
        return len(self._changed)

    @property
    def change(self) -> SimulationChange | None:
        """The delivery under the cursor."""
        return self._changed[self.cursor] if self._changed else None

    def draw(self, at: int, cells: int) -> StyledLine:  # noqa: ARG002 (the reason is cut by the screen)
        """Return the line of a delivery."""
        each = self._changed[at]
        return [
            (f"  {plain(ids.short_id(each.delivery_id))}  ", ""),
            (f"{verdict_change(each):{self._verdict_cells}}  ", verdict_headline(each.after)[1]),
            (change_subject(each), ""),
            (f"  {explain_decision(each.decision)}", "dim"),
        ]


class SimulationScreen(BaseScreen):
    """The list of changes above the whole decision on one of them; `path` is the file that was simulated."""

    CSS = """
    SimulationScreen {
        #list { height: 1fr; }
        #empty { display: none; }
        #why { height: 1fr; border-top: solid $surface-lighten-2; padding: 0 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("y", "copy", "copy id", show=False)]

    def __init__(self, session: Session, simulation: SimulationResult, path: str = "") -> None:
        super().__init__(session)
        self._simulation = simulation
        self._path = path

    def body(self) -> ComposeResult:
        """Stack the list and the decision."""
        yield Bar(id="summary")
        with Vertical(id="list"):
            yield ChangeList(self._simulation.changed)
            yield Bar(id="empty")
        yield TextView(id="why")

    def title_segments(self) -> list[BarSegment]:
        """Return the way back, and the name of the screen."""
        return [breadcrumb("Rails"), ("simulation", "bold", ""), (f"  {plain(self._path)}", "dim", "")]

    @property
    def changes(self) -> ChangeList:
        """The list."""
        return self.query_one(ChangeList)

    def on_mount(self) -> None:
        """Show the simulation, which is complete already."""
        simulation = self._simulation
        revision = f"{plain(simulation.revision)} " if simulation.revision else ""
        self.query_one("#summary", Bar).show(
            [(f" {simulation_summary(simulation)}", "bold", "")], [(revision, "dim", "")]
        )
        empty = self.query_one("#empty", Bar)
        empty.display = not simulation.changed
        empty.show([("  each of them would be decided as it was", "dim", "")])
        self.changes.focus()
        self.changes.recount()
        self.call_after_refresh(self.moved)

    def on_resize(self) -> None:
        """Wrap for the new width."""
        self.call_after_refresh(self.moved)

    @on(RowView.Moved)
    def moved(self) -> None:
        """Show the decision on the delivery under the cursor."""
        page, change = self.query_one("#why", TextView), self.changes.change
        page.show(pages.decision_page(change.decision, max(page.line_width - 2, 20)) if change else [])
        page.jump(0)

    @on(RowView.Opened)
    def opened(self) -> None:
        """Show the decision that was made when it came."""
        if self.changes.change:
            self.session.open("why", self.changes.change.delivery_id)

    def action_copy(self) -> None:
        """Copy the id to the clipboard, through the terminal."""
        if self.changes.change:
            self.session.copy(self.changes.change.delivery_id)


async def simulate_file(session: Session) -> None:
    """Ask for a rails file and show how it would have decided past deliveries, or what is wrong with it."""
    question = InputDialog(
        "Simulate which file?",
        [[(SIMULATION_HELP, "dim")]],
        label="a path",
        form=True,
        value=str(session.config / RAILS_FILE),
    )
    path = await session.ask(question)
    if path is None:
        return
    try:
        simulation = await session.call(_simulate, path)
    except ApiError as error:
        if faults := _fault_lines(error.problem, path):
            await session.ask(ReportDialog("These rails are not valid", faults))
        else:
            session.notify(str(error), error=True)
    except OSError as error:
        session.notify(f"{error.strerror}: {path}", error=True)
    except DAEMON_ERRORS as error:
        session.notify(str(error), error=True)
    else:
        session.open("simulation", simulation, path)


def _simulate(client: DaemonClient, path: str) -> SimulationResult:
    try:
        text = Path(os.path.expanduser(path)).read_text("utf-8")  # noqa: PTH111 (Path.expanduser raises for ~stranger)
    except UnicodeDecodeError as error:
        raise NotUtf8(f"{plain(path)} is not UTF-8") from error
    return api.simulate_rails(client, text, SIMULATED_DELIVERIES).value


def _fault_lines(problem: Problem, path: str) -> list[StyledLine]:
    """Return the faults in a rails file that the daemon rejected; none if it refused something else."""
    lines: list[StyledLine] = []
    for fault in problem.faults or ():
        lines.append([(f"{plain(Path(path).name)}:{fault.line}:{fault.column}", "dim")])
        lines += [[(f"  {part}", "red")] for part in wrap_line(plain(fault.message), FAULT_CELLS)]
    return lines
