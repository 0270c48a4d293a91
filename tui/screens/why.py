"""Why: the decision behind a job or a delivery, check by check."""

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from shared import ids
from shared.models import CheckOutcome, Decision, Delivery, RunnerJob
from tui.client.http import ApiError, DaemonClient, decode, delivery_path, job_path
from tui.screens import simulation
from tui.screens.actions import JOB_ACTIONS, applicable
from tui.screens.base import REFUSALS, BaseScreen, crumb
from tui.screens.session import EventsReceived, SnapshotReceived
from tui.text.jobs import location
from tui.text.plain import plain
from tui.widgets import pages
from tui.widgets.bar import BarSegment
from tui.widgets.lines import TextView


class WhyScreen(BaseScreen):
    """One decision."""

    CSS = "WhyScreen #why { margin: 1 2 0 2; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "act('approve')", "approve"),
        Binding("d", "act('deny')", "deny"),  # where nothing waits, the key is the app's: deliveries
        Binding("o", "rails", "open rails here"),
        Binding("s", "simulate", "simulate a file"),
    ]

    def __init__(self, subject: str) -> None:
        super().__init__()
        self._subject = subject
        self._what = plain(ids.short_id(subject))
        self._decision: Decision | None = None
        self._job: RunnerJob | None = None
        self._here = False

    def body(self) -> ComposeResult:
        """Put one page."""
        yield TextView(id="why")

    def title_words(self) -> list[BarSegment]:
        """Return what was decided about."""
        return [crumb("Why"), (self._what, "", "")]

    def on_mount(self) -> None:
        """Ask for the decision."""
        self.query_one(TextView).focus()
        self.load()

    def on_resize(self) -> None:
        """Fold for the new width."""
        if self._here:
            self.call_after_refresh(self._draw)

    @on(SnapshotReceived)
    def began(self) -> None:
        """Ask again."""
        self.load()

    @on(EventsReceived)
    def events_received(self, message: EventsReceived) -> None:
        """Ask again where the job moved."""
        if self._job and any(event.job_id == self._job.id for event in message.events):
            self.load()

    @work(group="why", exclusive=True)
    async def load(self) -> None:
        """Ask, and show it."""
        try:
            self._decision, self._what, self._job = await self.ask(_decision, self.house.daemon, self._subject)
        except REFUSALS as said:
            self.query_one(TextView).show([[(plain(str(said)), "red")]])
            return
        self._here = True
        self.show_title(self.house.link)
        self._draw()
        self.hint()

    def _draw(self) -> None:
        page = self.query_one(TextView)
        page.show(pages.decision_page(self._decision, max(page.line_width, 20)))

    @property
    def _line(self) -> int | None:
        """The line of the rails that made the decision what it is."""
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
        """Offer only what can be done."""
        if action == "act":
            return self._job is not None and bool(applicable(JOB_ACTIONS[str(parameters[0])], [self._job]))
        return action != "rails" or self._line is not None

    def action_act(self, verb: str) -> None:
        """Approve or deny the job, after a question."""
        if self._job:
            self.house.steer(JOB_ACTIONS[verb], [self._job])

    def action_rails(self) -> None:
        """Show the line of the rails that decided."""
        self.house.action_open("rails", self._line)

    @work(group="simulate")
    async def action_simulate(self) -> None:
        """Say what an edited file would have decided of what came in."""
        await simulation.simulate_file(self.house)


def _decision(daemon: DaemonClient, subject: str) -> tuple[Decision | None, str, RunnerJob | None]:
    """Return a decision, in words what it is about, and the job; a subject that is no job may be a delivery."""
    try:
        job = decode(daemon.get(job_path(subject)), RunnerJob)
    except ApiError as refused:
        if refused.problem.status != 404:
            raise
    else:
        words = f"job {ids.short_id(job.id)}  {job.type} on {location(job.repository, job.thread)} by {job.actor}"
        return job.decision or None, plain(words), job
    delivery = decode(daemon.get(delivery_path(subject)), Delivery)
    what = f"{delivery.event}.{delivery.action}" if delivery.action else delivery.event
    words = f"delivery {ids.short_id(delivery.id)}  {what} on {location(delivery.repository, delivery.thread)}"
    return delivery.decision or None, plain(f"{words} by {delivery.sender or 'nobody'}"), None
