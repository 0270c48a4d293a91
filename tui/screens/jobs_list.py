"""The list of jobs with the actions on the selected ones: those marked, the one under the cursor, or all that match."""

from typing import ClassVar

from textual.binding import Binding, BindingType

from shared.models import RunnerJob
from tui.screens.actions import (
    APPROVE,
    CANCEL,
    JOB_ACTIONS,
    RETRY,
    applicable,
    export_jobs,
    run_action,
    run_bulk_action,
)
from tui.screens.session import Session
from tui.widgets.bar import BarSegment
from tui.widgets.board import Board
from tui.widgets.job_list import JobList

ALL_SELECTED = "all that match selected · c cancel · r retry   "


class Jobs(JobList):
    """The list as its keys see it; `filter` is the one that all its jobs match."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "mark"),
        Binding("v", "range", "mark from the last mark to here", show=False),
        Binding("A", "all", "mark all that match", show=False),
        Binding("c", "act('cancel')", "cancel"),
        Binding("r", "act('retry')", "retry"),
        Binding("a", "act('approve')", "approve"),
        Binding("d", "act('deny')", "deny"),  # without a waiting job the app has the key: deliveries
        Binding("w", "why", "why"),
        Binding("y", "copy", "copy id", show=False),
        Binding("e", "export", "export as JSON lines", show=False),
    ]

    def __init__(self, session: Session, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(Board(), session.clock, id=id)
        self.filter = ""
        self.all_selected = False  # also the jobs that are not loaded
        self._session = session

    @property
    def selected(self) -> list[RunnerJob]:
        """The marked jobs, or the one under the cursor."""
        found = map(self.board.cached, self.marked) if self.marked else [self.current]
        return [job for job in found if job is not None]

    def show(self, board: Board) -> None:
        """Show another board, with nothing selected."""
        self.all_selected = False
        super().show(board)

    def clear_marks(self) -> None:
        """Clear the selection."""
        self.all_selected = False
        super().clear_marks()
        self.post_message(self.Moved())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done."""
        if action == "act":
            job_action = JOB_ACTIONS[str(parameters[0])]
            return job_action.in_bulk if self.all_selected else bool(applicable(job_action, self.selected))
        if action == "range":
            return bool(self.marked)
        if action in {"why", "copy", "mark", "open", "export", "all"}:
            return self.count > 0
        return True

    def action_act(self, verb: str) -> None:
        """Cancel, retry, approve or deny the selected jobs, after confirmation."""
        if self.all_selected:
            work = run_bulk_action(self._session, JOB_ACTIONS[verb], self.filter)
        else:
            work = run_action(self._session, JOB_ACTIONS[verb], self.selected)
        self._session.start(work, group="actions")

    def action_all(self) -> None:
        """Select every job that matches tab and filter, or no longer."""
        self.all_selected = not self.all_selected
        self.post_message(self.Moved())

    def action_range(self) -> None:
        """Mark all from the last mark to the cursor."""
        self.mark_range()
        self.post_message(self.Moved())

    def action_copy(self) -> None:
        """Copy the id under the cursor to the clipboard, through the terminal."""
        if self.current_id:
            self._session.copy(self.current_id)

    def action_export(self) -> None:
        """Write the jobs of this list to a file."""
        self._session.start(export_jobs(self._session, self.board.query), group="export", exclusive=True)

    def action_why(self) -> None:
        """Show the decision behind the job under the cursor."""
        if self.current_id:
            self._session.open("why", self.current_id)


def selection_segments(jobs: Jobs, total: int) -> list[BarSegment]:
    """Return what is selected, what is new above, and how many of `total` jobs are listed."""
    segments: list[BarSegment] = []
    if jobs.all_selected:
        segments.append((ALL_SELECTED, "accent", ""))
    elif jobs.marked:
        selected = jobs.selected
        hints = [
            f"{action.verb[0]} {action.verb} {len(fit)}"
            for action in (CANCEL, RETRY)
            if (fit := applicable(action, selected))
        ]
        if waiting := applicable(APPROVE, selected):
            hints.append(f"a/d {len(waiting)}")
        segments.append((" · ".join([f"{len(jobs.marked)} selected", *hints]) + "   ", "accent", ""))
    if jobs.new_above:
        segments.append((f"+{jobs.new_above} new   ", "green", "screen.press('home')"))
    listed = f"{jobs.count:,}{'+' if jobs.board.more else ''}"
    return [*segments, (f"{listed} of {total:,}   ↑newest ", "dim", "screen.press('home')")]
