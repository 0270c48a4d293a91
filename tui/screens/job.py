"""One job: what it is, what can be done to it, and all there is to read of it."""

import asyncio
from time import monotonic
from typing import ClassVar

from msgspec import UNSET
from textual import on, work
from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType

from shared import ids
from shared.models import OPEN_STATUSES, JobEvent, RunnerJob
from shared.units import format_size
from tui.client import export
from tui.client.http import DaemonUnreachable, decode, job_path
from tui.screens import job_body
from tui.screens.actions import JOB_ACTIONS, applicable
from tui.screens.base import REFUSALS, BaseScreen, crumb
from tui.screens.job_body import JobBody
from tui.screens.session import Connection, EventsReceived, SnapshotReceived
from tui.text.jobs import counted
from tui.text.plain import plain
from tui.widgets.bar import Bar, BarSegment
from tui.widgets.job_row import job_facts, job_title, page_tabs, status_reason
from tui.widgets.searchable import SearchablePages
from tui.widgets.step_tree import StepTree

PACE = 0.2  # seconds between two looks at the daemon


class JobScreen(BaseScreen):
    """What one job did and does."""

    CSS_PATH = "job.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "act('cancel')", "cancel"),
        Binding("r", "act('retry')", "retry"),
        Binding("a", "act('approve')", "approve"),
        Binding("d", "act('deny')", "deny"),  # where nothing waits, the key is the app's: deliveries
        Binding("y", "copy", "copy id", show=False),
        Binding("Y", "copy_page", "copy page", show=False),
        Binding("e", "export", "export"),
        Binding("o", "pager", "pager"),
    ]

    def __init__(self, job_id: str) -> None:
        super().__init__()
        self._subject = job_id
        self._job: RunnerJob | None = None
        self._asking = False
        self._stale = True
        self._asked_at = 0.0

    def body(self) -> ComposeResult:
        """Put what the job is over what there is to read."""
        yield Bar(id="facts")
        yield Bar(id="reason")
        yield SearchablePages(JobBody(self.house.daemon, StepTree(self.house.clock, id="steps")))
        yield Bar(id="pages")

    @property
    def _body(self) -> JobBody:
        return self.query_one(JobBody)

    def title_words(self) -> list[BarSegment]:
        """Return the way here, and what the job is."""
        words: list[BarSegment] = [crumb("Jobs")]
        job = self._job
        if job is None:
            return [*words, (plain(ids.short_id(self._subject)), "bold", "")]
        return [*words, *job_title(job)]

    def on_mount(self) -> None:
        """Ask for the job."""
        self.query_one("#reason", Bar).display = False
        self.set_interval(1.0, self._time_passes)
        self._look()

    @on(SnapshotReceived)
    def began(self) -> None:
        """Ask again: nothing that was known holds."""
        self._body.events.clear()
        self._stale = True
        self._look()

    @on(EventsReceived)
    def events_received(self, message: EventsReceived) -> None:
        """Ask again where something happened to this job, unless it only said more."""
        mine = [event for event in message.events if self._job and event.job_id == self._job.id]
        if mine:
            self._stale = self._stale or any(event.type != "step.output" for event in mine)
            self._body.happened(mine)
            self._look()

    def show_connection(self, link: Connection) -> None:
        """Ask again once the daemon is back."""
        super().show_connection(link)
        if link.live:
            self._look()

    def on_resize(self) -> None:
        """Fold for the new width."""
        self.call_after_refresh(self._redraw)

    def _look(self) -> None:
        if self._stale and not self._asking and self.house.link.live:
            self._asking = True
            self._keep_true()

    @work(group="job")
    async def _keep_true(self) -> None:
        try:
            while self._stale:
                await asyncio.sleep(self._asked_at + PACE - monotonic())
                self._stale, self._asked_at = False, monotonic()
                document = await self.ask(self.house.daemon.get, job_path(self._job.id if self._job else self._subject))
                self._show(document, decode(document, RunnerJob))
        except DaemonUnreachable:
            self._stale = True  # it is asked again when the daemon is back
        except REFUSALS as said:
            self.show_error(said)
            if self._job is None:
                self.query_one("#facts", Bar).show([(f" {plain(str(said))}", "red", "")])
        finally:
            self._asking = False

    def _show(self, document: bytes, job: RunnerJob) -> None:
        self._job = job
        events: tuple[JobEvent, ...] = () if job.events is UNSET else job.events
        self._body.show(document, job, events)
        self._redraw()

    @on(JobBody.Turned)
    def turned(self) -> None:
        """Show which page it is, once it has its size."""
        self.call_after_refresh(self._redraw)

    def _redraw(self) -> None:
        """Draw everything around the steps."""
        job = self._job
        if job is None or not self.is_mounted:
            return
        self.show_title(self.house.link)
        self.query_one("#facts", Bar).show([(f" {job_facts(job)}", "dim", "")])
        reason = self.query_one("#reason", Bar)
        reason.show(status_reason(job))
        reason.display = bool(status_reason(job))
        self._body.draw()
        self.query_one("#pages", Bar).show(page_tabs(job, self._body.page))
        self.hint()

    def _time_passes(self) -> None:
        if self.is_current and self._job and self._job.status in OPEN_STATUSES and self.house.link.live:
            self._body.steps.show(self._job)
            self._redraw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done."""
        if action == "act":
            return bool(self._job and applicable(JOB_ACTIONS[str(parameters[0])], [self._job]))
        return True

    def action_act(self, verb: str) -> None:
        """Cancel, retry, approve or deny this job, after a question."""
        if self._job:
            self.house.steer(JOB_ACTIONS[verb], applicable(JOB_ACTIONS[verb], [self._job]))

    def action_copy(self) -> None:
        """Put the id on the clipboard, through the terminal."""
        self.house.copy(self._job.id if self._job else self._subject)

    def action_copy_page(self) -> None:
        """Put the page on the clipboard, as much as is seen of a long one."""
        text = job_body.visible_text(self._body)
        self.house.copy_to_clipboard(text)
        self.notify(f"copied {counted(len(text.splitlines()), 'line')}", markup=False, timeout=2)

    @work(group="export", exclusive=True)
    async def action_export(self) -> None:
        """Write the page into a file of the present directory."""
        try:
            path, size = await self.ask(
                lambda: export.save_new_file(*job_body.page_file(self._body, self.house.daemon))
            )
        except (OSError, *REFUSALS) as said:
            self.notify(plain(str(said)), severity="error", markup=False)
        else:
            self.notify(f"{format_size(size)} in {plain(str(path))}", markup=False)

    def action_pager(self) -> None:
        """Read the page in $PAGER, and come back."""
        try:
            with self.house.suspend():
                export.show_in_pager(job_body.plain_lines(self._body, self.house.daemon))
        except (SuspendNotSupported, OSError, *REFUSALS) as said:
            self.notify(plain(str(said)), severity="error", markup=False)
        self.house.refresh()
