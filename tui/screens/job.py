"""The screen of one job: its title and facts, the actions on it, its steps and pages."""

import asyncio
from typing import ClassVar

from msgspec import UNSET
from textual import on, work
from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType

from shared import ids
from shared.models import OPEN_STATUSES, JobEvent, RunnerJob
from shared.units import format_size
from tui.client import api, export
from tui.screens.actions import JOB_ACTIONS, applicable, run_action
from tui.screens.base import breadcrumb
from tui.screens.job_body import JobBody
from tui.screens.refreshing import RefreshingScreen
from tui.screens.session import DAEMON_ERRORS, EventsReceived, Session, SnapshotReceived
from tui.text.jobs import counted
from tui.text.links import change_url, thread_url
from tui.text.plain import plain, single_line
from tui.widgets.bar import Bar, BarSegment
from tui.widgets.job_row import job_facts, job_title, page_tabs, status_reason
from tui.widgets.searchable import SearchablePages
from tui.widgets.step_tree import StepTree


class JobScreen(RefreshingScreen):
    """One job, which is requested again when its events arrive."""

    CSS_PATH = "job.tcss"
    REPEAT_SECONDS = 0.2
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "act('cancel')", "cancel"),
        Binding("r", "act('retry')", "retry"),
        Binding("a", "act('approve')", "approve"),
        Binding("d", "act('deny')", "deny"),
        Binding("y", "copy", "copy id", show=False),
        Binding("o", "browse('thread')", "open thread", show=False),
        Binding("O", "browse('change')", "open change", show=False),
        Binding("Y", "copy_page", "copy page", show=False),
        Binding("e", "export", "export"),
        Binding("vertical_line", "pager", "open in $PAGER", show=False),
    ]

    def __init__(self, session: Session, job_id: str) -> None:
        super().__init__(session)
        self._job_id = job_id  # as given by the user: it may be the end of the id
        self._job: RunnerJob | None = None

    def body(self) -> ComposeResult:
        """Stack the facts, the steps with their pages, and the tabs of the pages."""
        yield Bar(id="facts")
        yield Bar(id="reason")
        yield SearchablePages(JobBody(self.session.client, StepTree(self.session.clock, id="steps")))
        yield Bar(id="pages")

    @property
    def _body(self) -> JobBody:
        return self.query_one(JobBody)

    def title_segments(self) -> list[BarSegment]:
        """Return the way back, and the job's title."""
        segments: list[BarSegment] = [breadcrumb("Jobs")]
        if self._job is None:
            return [*segments, (plain(ids.short_id(self._job_id)), "bold", "")]
        return [*segments, *job_title(self._job)]

    def on_mount(self) -> None:
        """Hide the reason until it is known, and keep times current."""
        self.query_one("#reason", Bar).display = False
        self.set_interval(1.0, self._tick)

    @on(SnapshotReceived)
    def snapshot_received(self) -> None:
        """Request everything again."""
        self._body.events.clear()
        self.refresh_data()

    @on(EventsReceived)
    def events_received(self, message: EventsReceived) -> None:
        """Request the job again if it changed; more output of a step is no change of the job."""
        events = [event for event in message.events if self._job and event.job_id == self._job.id]
        if events:
            self._body.add_events(events)
            if any(event.type != "step.output" for event in events):
                self.refresh_data()

    def on_resize(self) -> None:
        """Wrap for the new width."""
        self.call_after_refresh(self._redraw)

    async def load(self, *, stale: bool) -> None:  # noqa: ARG002 (all of it is stale)
        """Request and show the job."""
        reply = await self.session.call(api.get_job, self._job.id if self._job else self._job_id)
        self._show(reply.raw, reply.value)

    def load_failed(self, error: Exception) -> None:
        """Show why the job cannot be shown."""
        super().load_failed(error)
        if self._job is None:
            self.query_one("#facts", Bar).show([(f" {single_line(str(error))}", "red", "")])

    def _show(self, document: bytes, job: RunnerJob) -> None:
        self._job = job
        events: tuple[JobEvent, ...] = () if job.events is UNSET else job.events
        self._body.show(document, job, events)
        self._redraw()

    @on(JobBody.PageChanged)
    def page_changed(self) -> None:
        """Show which page it is, once it has its size."""
        self.call_after_refresh(self._redraw)

    def _redraw(self) -> None:
        """Draw everything around the steps."""
        job = self._job
        if job is None or not self.is_mounted:
            return
        self.show_title()
        self.query_one("#facts", Bar).show([(f" {job_facts(job)}", "dim", "")])
        reason = self.query_one("#reason", Bar)
        explained = status_reason(job, self.session.clock())
        reason.show(explained)
        reason.display = bool(explained)
        self._body.draw()
        self.query_one("#pages", Bar).show(page_tabs(job, self._body.page))
        self.show_hints()

    def _tick(self) -> None:
        running = self._job and self._job.status in OPEN_STATUSES
        if self._job and running and self.is_current and self.session.connection.live:
            self._body.steps.show(self._job)
            self._redraw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done; the help dims the rest."""
        if action == "act":
            return bool(self._job and applicable(JOB_ACTIONS[str(parameters[0])], [self._job])) or None
        if (action, *parameters) == ("browse", "change"):
            return bool(self._job and change_url(self._job)) or None
        return True

    def action_act(self, verb: str) -> None:
        """Cancel, retry, approve or deny this job, after confirmation."""
        if self._job:
            self.session.start(run_action(self.session, JOB_ACTIONS[verb], [self._job]), group="actions")

    def action_copy(self) -> None:
        """Copy the id to the clipboard, through the terminal."""
        self.session.copy(self._job.id if self._job else self._job_id)

    def action_browse(self, what: str) -> None:
        """Open the thread, or the change that was opened, in the browser; without a URL, copy the branch."""
        if self._job:
            url = thread_url(self._job) if what == "thread" else change_url(self._job)
            self.session.start(self.session.follow(url, self._job.branch), group="browse")

    def action_copy_page(self) -> None:
        """Copy the page to the clipboard, of a long one the visible part."""
        text = self._body.visible_text()
        self.app.copy_to_clipboard(text)
        self.notify(f"copied {counted(len(text.splitlines()), 'line')}", markup=False, timeout=2)

    @work(group="export", exclusive=True)
    async def action_export(self) -> None:
        """Write the page to a new file in the current directory."""
        try:
            path, size = await asyncio.to_thread(export.save_new_file, *self._body.page_file())
        except (OSError, *DAEMON_ERRORS) as error:
            self.session.notify(str(error), error=True)
        else:
            self.session.notify(f"{format_size(size)} in {path}")

    def action_pager(self) -> None:
        """Show the page in $PAGER until the user leaves it."""
        try:
            with self.app.suspend():
                export.show_in_pager(self._body.page_lines())
        except (SuspendNotSupported, OSError, *DAEMON_ERRORS) as error:
            self.session.notify(str(error), error=True)
        self.app.refresh()
