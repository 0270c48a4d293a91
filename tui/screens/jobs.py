"""The first screen: all jobs, running ones first, below the daemon's load and what is new about the rails."""

from typing import ClassVar

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tui.screens.base import BaseScreen
from tui.screens.job_query import JobQuery
from tui.screens.jobs_pane import JobsPane
from tui.screens.rails_text import RailsNotice
from tui.screens.session import EventsReceived, JobsRequested, Session, SnapshotReceived
from tui.widgets.bar import BarSegment, status_load
from tui.widgets.lines import RowView

AGE_SECONDS = 15  # between two updates of the ages of jobs that have ended


class JobsScreen(BaseScreen):
    """The screen below all others."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "simulate", "simulate"),
        Binding("escape", "dismiss_notice", "hide what is new", show=False),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._started = False  # the first page comes with the feed
        self._ticks = 0

    def body(self) -> ComposeResult:
        """Show the jobs."""
        yield JobsPane(self.session)

    def title_segments(self) -> list[BarSegment]:
        """Return the name of the screen."""
        return [(" stitcher", "bold", ""), (" ─ jobs", "dim", "")]

    def state_segments(self) -> list[BarSegment]:
        """Add as much of the daemon's load as there is space for."""
        connection, *others = super().state_segments()
        used = sum(cell_len(text) for text, _, _ in [*self.title_segments(), connection, *others]) + 2
        load = status_load(self.session.status, self.session.clock(), self.size.width - used)
        return [connection, *load, *others]

    @property
    def notice(self) -> RailsNotice | None:
        """What is to be known about the rails: what is new too."""
        return self.session.notice

    @property
    def pane(self) -> JobsPane:
        """The jobs."""
        return self.query_one(JobsPane)

    def on_mount(self) -> None:
        """Keep times up to date."""
        self.set_interval(1.0, self._tick)

    @on(SnapshotReceived)
    def snapshot_received(self, message: SnapshotReceived) -> None:
        """Start again from the newest jobs; those of another tab or filter have to be requested."""
        self._started = True
        pane = self.pane
        board = pane.new_board()
        if not pane.job_query.parameters:
            board.seed(message.page)
        pane.jobs.show(board)
        self._load()
        pane.redraw()

    @on(EventsReceived)
    def events_received(self, message: EventsReceived) -> None:
        """Request again what is visible and changed."""
        self.pane.jobs.board.apply(message.events)
        self._load()

    @on(JobsRequested)
    def jobs_requested(self, message: JobsRequested) -> None:
        """Show the jobs that another screen counts."""
        self.pane.show(JobQuery(filter=message.filter))

    @on(RowView.Moved)
    def moved(self) -> None:
        """Request what is visible now."""
        self._load()
        self.pane.redraw()

    @on(JobsPane.Redrawn)
    def redrawn(self) -> None:
        """Show the keys that work now."""
        self.show_hints()

    def show_session(self) -> None:
        """Request what is missing once the daemon is back."""
        super().show_session()
        if self._started:
            self._load()
            self.pane.redraw()

    def on_resize(self) -> None:
        """Draw for the new width."""
        self.call_after_refresh(self.pane.redraw)

    def _load(self) -> None:
        if self._started:
            self.pane.load()

    def _tick(self) -> None:
        self._ticks += 1
        if self.is_current:
            self.pane.jobs.tick(ages=self._ticks % AGE_SECONDS == 0)
            self.show_title()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 (Textual's way)
        """Offer only what can be done; the help dims the rest, but for keys that then do something else."""
        notice = self.session.notice
        if action == "simulate":
            return (notice is not None and notice.has_changes) or None
        return action != "dismiss_notice" or (notice is not None and not notice.rejected)

    def action_simulate(self) -> None:
        """Show how the new rails would have decided past deliveries."""
        if self.session.notice:
            self.session.open("simulation", self.session.notice.simulation)

    def action_show_queue(self) -> None:
        """Show the jobs in the queue."""
        self.pane.show(JobQuery(filter="state:queued"))

    def action_dismiss_notice(self) -> None:
        """Hide what is new about the rails."""
        self.session.set_notice(None)

    @on(RowView.Opened)
    def opened(self) -> None:
        """Open the job under the cursor."""
        if self.pane.jobs.current_id:
            self.session.open("job", self.pane.jobs.current_id)
