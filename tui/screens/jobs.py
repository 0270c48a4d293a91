"""All jobs, newest first: the first screen, over the list how work goes, and what is new of the rails."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tui.screens.base import BaseScreen
from tui.screens.jobs_pane import JobsPane
from tui.screens.session import Connection, EventsReceived, SnapshotReceived
from tui.text.plain import width
from tui.widgets.bar import Bar, BarSegment, status_load
from tui.widgets.board import Board, PageRequest
from tui.widgets.lines import RowView

AGES = 15  # seconds between two looks at the ages of jobs that are over


class JobsScreen(BaseScreen):
    """The first screen, and the last one to leave."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "see", "see what changed"),
        Binding("escape", "hush", "hide what is new", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._begun = False  # the first page comes with the feed
        self._beats = 0

    def body(self) -> ComposeResult:
        """Put the notice over the jobs."""
        yield Bar(id="notice")
        yield JobsPane()

    def title_words(self) -> list[BarSegment]:
        """Return the name of the place."""
        return [(" stitcher", "bold", ""), (" ─ jobs", "dim", "")]

    def state_words(self, link: Connection) -> list[BarSegment]:
        """Return how the daemon is, and as much of how work goes as there is room for."""
        live, *others = super().state_words(link)
        taken = sum(width(text) for text, _, _ in [*self.title_words(), live, *others]) + 2
        return [live, *status_load(self.house.vitals, self.house.clock(), self.size.width - taken), *others]

    @property
    def pane(self) -> JobsPane:
        """The jobs."""
        return self.query_one(JobsPane)

    def on_mount(self) -> None:
        """Let time pass."""
        self.set_interval(1.0, self._time_passes)

    @on(SnapshotReceived)
    def began(self, message: SnapshotReceived) -> None:
        """Begin anew with the newest jobs; another tab or filter than all has to be asked for."""
        self._begun = True
        pane = self.pane
        pane.jobs.show(Board(pane.narrowing.query))
        if not pane.narrowing.query:
            pane.jobs.merge_page(PageRequest(None, len(message.page.items)), message.page)
        self._look()
        pane.redraw()

    @on(EventsReceived)
    def events_received(self, message: EventsReceived) -> None:
        """Ask again for what is looked at and changed."""
        self.pane.jobs.board.apply(message.events)
        self._look()

    @on(RowView.Moved)
    def moved(self) -> None:
        """Ask for what is looked at now."""
        self._look()
        self.pane.redraw()

    @on(JobsPane.Drawn)
    def drawn(self) -> None:
        """Offer what can be done now."""
        self.hint()

    def show_connection(self, link: Connection) -> None:
        """Ask again once the daemon is back, and tell what is new of the rails."""
        super().show_connection(link)
        notice, bar = self.house.notice, self.query_one("#notice", Bar)
        bar.display = notice is not None
        if notice is not None:
            bar.show(*notice.line)
        if self._begun:
            self._look()
            self.pane.redraw()

    def on_resize(self) -> None:
        """Draw for the new width."""
        self.call_after_refresh(self.pane.redraw)

    def _look(self) -> None:
        if self._begun:
            self.pane.look()

    def _time_passes(self) -> None:
        self._beats += 1
        if self.is_current:
            self.pane.jobs.tick(ages=self._beats % AGES == 0)
            self.show_title(self.house.link)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 (Textual's way)
        """Offer only what can be done."""
        notice = self.house.notice
        if action == "see":
            return notice is not None and notice.changes
        return action != "hush" or (notice is not None and not notice.refused)

    def action_see(self) -> None:
        """Show what the rails would now say of what came in before."""
        if self.house.notice:
            self.house.action_open("simulation", self.house.notice.simulation)

    def action_hush(self) -> None:
        """Hide what is new of the rails."""
        self.house.notice = None
        self.show_connection(self.house.link)

    @on(RowView.Opened)
    def opened(self) -> None:
        """Open the job under the cursor."""
        if self.pane.jobs.current_id:
            self.house.open_job(self.pane.jobs.current_id)
