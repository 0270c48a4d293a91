"""The screen of one decision on a job or a delivery, check by check."""

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from shared import ids
from shared.models import CheckOutcome, Decision, JobEvent, RunnerJob
from tui.client import api
from tui.client.http import ApiError, DaemonClient
from tui.screens.actions import JOB_ACTIONS, applicable, run_action
from tui.screens.base import BaseScreen, breadcrumb
from tui.screens.session import DAEMON_ERRORS, EventsReceived, Session, SnapshotReceived
from tui.screens.simulation import simulate_file
from tui.text.jobs import location
from tui.text.plain import plain, single_line
from tui.widgets import pages
from tui.widgets.bar import BarSegment
from tui.widgets.text_view import TextView


class WhyScreen(BaseScreen):
    """One decision; `subject` is the id of a job or a delivery, or the end of one."""

    CSS = "WhyScreen #why { margin: 1 2 0 2; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "act('approve')", "approve"),
        Binding("d", "act('deny')", "deny"),
        Binding("R", "rails", "rails"),  # at the decisive line; without one the app has the key
        Binding("m", "simulate", "simulate"),
    ]

    def __init__(self, session: Session, subject: str) -> None:
        super().__init__(session)
        self._subject = subject
        self._title = plain(ids.short_id(subject))
        self._decision: Decision | None = None
        self._job: RunnerJob | None = None
        self._loaded = False

    def body(self) -> ComposeResult:
        """Show one page."""
        yield TextView(id="why")

    def title_segments(self) -> list[BarSegment]:
        """Return the screen's name, and what the decision is about."""
        return [breadcrumb("Why"), (self._title, "", "")]

    def on_mount(self) -> None:
        """Request the decision."""
        self.query_one(TextView).focus()
        self.load()

    def on_resize(self) -> None:
        """Wrap for the new width."""
        if self._loaded:
            self.call_after_refresh(self._draw)

    @on(SnapshotReceived)
    def snapshot_received(self) -> None:
        """Request the decision again."""
        self.load()

    @on(EventsReceived)
    def events_received(self, message: EventsReceived) -> None:
        """Request the decision again if the job changed, or the delivery was decided."""
        if any(self._is_about_subject(event) for event in message.events):
            self.load()

    def _is_about_subject(self, event: JobEvent) -> bool:
        if self._job:
            return event.job_id == self._job.id
        return event.type == "delivery.decided" and str(event.payload.get("deliveryId")).endswith(self._subject)

    @work(group="why", exclusive=True)
    async def load(self) -> None:
        """Request the decision and show it."""
        try:
            self._decision, self._title, self._job = await self.session.call(_decision, self._subject)
        except DAEMON_ERRORS as error:
            self.query_one(TextView).show([[(single_line(str(error)), "red")]])
            return
        self._loaded = True
        self.show_title()
        self._draw()
        self.show_hints()

    def _draw(self) -> None:
        page = self.query_one(TextView)
        page.show(pages.decision_page(self._decision, max(page.line_width, 20)))

    @property
    def _rails_line(self) -> int | None:
        """The line of the rails that was decisive."""
        if self._decision is None:
            return None
        if self._decision.remedy and self._decision.remedy.line:
            return self._decision.remedy.line
        decisive = [
            check.line for check in self._decision.checks if check.outcome in (CheckOutcome.FAIL, CheckOutcome.ASK)
        ]
        passed = [check.line for check in self._decision.checks if check.outcome is CheckOutcome.PASS]
        return next((line for line in (*decisive, *passed) if line is not None), None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done; the help dims the rest."""
        if action == "act":
            return bool(self._job and applicable(JOB_ACTIONS[str(parameters[0])], [self._job])) or None
        return action != "rails" or self._rails_line is not None

    def action_act(self, verb: str) -> None:
        """Approve or deny the job, after confirmation."""
        if self._job:
            self.session.start(run_action(self.session, JOB_ACTIONS[verb], [self._job]), group="actions")

    def action_rails(self) -> None:
        """Show the decisive line of the rails."""
        self.session.open("rails", self._rails_line)

    @work(group="simulate")
    async def action_simulate(self) -> None:
        """Simulate an edited file on past deliveries."""
        await simulate_file(self.session)


def _decision(client: DaemonClient, subject: str) -> tuple[Decision | None, str, RunnerJob | None]:
    """Return the decision on a job or, if there is no such job, a delivery; what it is about; and the job."""
    try:
        job = api.get_job(client, subject).value
    except ApiError as error:
        if error.problem.status != 404:
            raise
    else:
        text = f"job {ids.short_id(job.id)}  {job.type} on {location(job.repository, job.thread)} by {job.actor}"
        return job.decision or None, plain(text), job
    delivery = api.get_delivery(client, subject).value
    event = f"{delivery.event}.{delivery.action}" if delivery.action else delivery.event
    text = f"delivery {ids.short_id(delivery.id)}  {event} on {location(delivery.repository, delivery.thread)}"
    return delivery.decision or None, plain(f"{text} by {delivery.sender or 'nobody'}"), None
