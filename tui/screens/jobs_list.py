"""The list of jobs with what can be done to those that are meant: marked, under the cursor, or all that fit."""

from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import Binding, BindingType

from shared.models import RunnerJob
from tui.board import Board
from tui.screens.steering import ACTS, fitting
from tui.widgets.job_list import JobList

if TYPE_CHECKING:
    from tui.app import StitcherApp


class Jobs(JobList):
    """The list as it is steered; `meaning` is the filter that all its jobs fit."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "mark"),
        Binding("v", "range", "mark from the last mark to here", show=False),
        Binding("A", "all", "mark all that fit", show=False),
        Binding("c", "act('cancel')", "cancel"),
        Binding("r", "act('retry')", "retry"),
        Binding("a", "act('approve')", "approve"),
        Binding("d", "act('deny')", "deny"),  # where nothing waits, the key is the app's: deliveries
        Binding("w", "why", "why"),
        Binding("y", "copy", "copy id", show=False),
        Binding("e", "export", "export as JSON lines", show=False),
    ]
    meaning = ""
    all_marked = False  # also those that are not here

    @property
    def house(self) -> "StitcherApp":
        """The app, by its own type."""
        return cast("StitcherApp", self.app)

    @property
    def chosen(self) -> list[RunnerJob]:
        """The marked jobs, or the one under the cursor."""
        found = map(self.board.known, self.marked) if self.marked else [self.current]
        return [job for job in found if job is not None]

    def show(self, board: Board) -> None:
        """Show another board, with nothing marked."""
        self.all_marked = False
        super().show(board)

    def unmark(self) -> None:
        """Mark nothing."""
        self.all_marked = False
        super().unmark()
        self.post_message(self.Moved())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done."""
        if action == "act":
            act = ACTS[str(parameters[0])]
            return act.in_bulk if self.all_marked else bool(fitting(act, self.chosen))
        if action == "range":
            return bool(self.marked)
        if action in {"why", "copy", "mark", "open", "export", "all"}:
            return self.count > 0
        return True

    def action_act(self, verb: str) -> None:
        """Cancel, retry, approve or deny what is meant, after a question."""
        if self.all_marked:
            self.house.steer_all(ACTS[verb], self.meaning)
        else:
            self.house.steer(ACTS[verb], fitting(ACTS[verb], self.chosen))

    def action_all(self) -> None:
        """Mark every job that fits tab and filter, or no longer."""
        self.all_marked = not self.all_marked
        self.post_message(self.Moved())

    def action_range(self) -> None:
        """Mark all from the last mark to the cursor."""
        self.mark_range()
        self.post_message(self.Moved())

    def action_copy(self) -> None:
        """Put the id under the cursor on the clipboard, through the terminal."""
        if self.current_id:
            self.house.copy(self.current_id)

    def action_export(self) -> None:
        """Write the jobs of this list to a file."""
        self.house.export_jobs(self.board.query)

    def action_why(self) -> None:
        """Show the decision behind the job under the cursor."""
        if self.current_id:
            self.house.show_why(self.current_id)
