"""The long pages of a job: the log of a step, the conversation of a try, the diff of an attempt, the events."""

import asyncio
import re
from collections.abc import Iterable
from itertools import islice

from msgspec import UNSET
from textual import work

from shared.models import OPEN_STATUSES, JobEvent, JobStep, Phase, RunnerJob, StepType
from tui.client import api
from tui.client.http import DaemonClient
from tui.client.replies import RemoteText
from tui.screens.session import DAEMON_ERRORS
from tui.text import diffs
from tui.text.times import time_of_day
from tui.widgets.events import EventList
from tui.widgets.log_panel import LogPanel
from tui.widgets.log_text import LogTimes

EVENTS_MAX = 20_000  # events that are requested


class RemoteStepLog(LogPanel):
    """The output of one step."""

    def __init__(self, client: DaemonClient) -> None:
        super().__init__(id="log")
        self._client = client
        self._job_id = ""
        self._step: JobStep | None = None
        self.raw = False

    @property
    def source(self) -> RemoteText:
        """The log as the daemon has it."""
        request = api.raw_step_log if self.raw else api.step_log
        return request(self._client, self._job_id, self._step.id if self._step else "-")

    @property
    def file_name(self) -> str:
        """The step's name and try, as part of a file name."""
        step = self._step
        return re.sub(r"[^\w.-]", "_", f"{step.name}-{step.try_ or 1}") if step else "log"

    def show(self, job_id: str, step: JobStep) -> None:
        """Show the output of a step, or more of it."""
        other = self._step is None or step.id != self._step.id
        self._job_id, self._step = job_id, step
        if other:
            self.open(self.source.read_range)
            if self.log_view.times:
                self._load_times()
        elif step.completed_at is None:
            self.check_growth()

    def add_events(self, events: Iterable[JobEvent]) -> None:
        """Read more if the events tell of output of this step."""
        own = [event for event in events if self._step and event.step_id == self._step.id]
        if own:
            _add_times(self.log_view.times, own)
            self.check_growth()

    def toggle_raw(self) -> None:
        """Show what the agent wrote in the form of its own, or the output again."""
        self.raw = not self.raw
        self.log_view.times = None  # they are those of the output
        self.open(self.source.read_range)

    def show_times(self) -> None:
        """Show or hide the times beside the lines."""
        if self.log_view.times:
            self.log_view.times = None
            self.log_view.recount()
        elif self._step and not self.raw:
            self._load_times()

    def _load_times(self) -> None:
        self.log_view.times = LogTimes()
        self.log_view.recount()
        self._request_times(self.log_view.times)

    @work(group="times", exclusive=True)
    async def _request_times(self, times: LogTimes) -> None:
        """Find out when each byte was written; the log does not hold it, the job's events do."""
        step = self._step
        try:
            found = await asyncio.to_thread(_events, self._client, self._job_id)
        except DAEMON_ERRORS:
            return  # the log is of use without times too
        _add_times(times, [event for event in found if step and event.step_id == step.id])
        self.log_view.refresh()


class ConversationPanel(LogPanel):
    """What the agent of a try was sent, and what it answered."""

    def __init__(self, client: DaemonClient) -> None:
        super().__init__(id="conversation", colour=_heading_colour)
        self._client = client
        self._job_id = ""
        self.step: JobStep | None = None

    @property
    def source(self) -> RemoteText:
        """The conversation as the daemon has it."""
        return api.conversation(self._client, self._job_id, self.step.id if self.step else "-")

    def show(self, job_id: str, step: JobStep) -> None:
        """Show the conversation of a step of an agent, or more of it."""
        other = self.step is None or step.id != self.step.id
        self._job_id, self.step = job_id, step
        if other:
            self.open(self.source.read_range)
        else:
            self.check_growth()

    def add_events(self, events: Iterable[JobEvent]) -> None:
        """Read more if the events tell of output of this step."""
        if any(self.step and event.step_id == self.step.id for event in events):
            self.check_growth()


class JobDiff(LogPanel):
    """The changes of one attempt."""

    def __init__(self, client: DaemonClient) -> None:
        super().__init__(
            id="diff",
            line_formatter=diffs.diff_line,
            colour=diffs.diff_colour,
            empty="nothing was changed",
            grows=False,
        )
        self._client = client
        self._version: tuple[object, ...] = ()
        self.source = api.diff(client, "-")

    def show(self, job: RunnerJob, attempt: int) -> None:
        """Show the current diff of an attempt."""
        version = (job.id, attempt, *_diff_version(job, attempt))
        if version != self._version:
            self._version = version
            self.source = api.diff(self._client, job.id, attempt)
            self.open(self.source.read_range)


class JobEvents(EventList):
    """The events of one job: the newest come with the job, all others are requested when the page is first shown."""

    def __init__(self, client: DaemonClient) -> None:
        super().__init__(id="events", with_job=False)
        self._client = client
        self._loaded_job = ""

    def show(self, job_id: str) -> None:
        """Request all events of a job, once."""
        if job_id != self._loaded_job:
            self._loaded_job = job_id
            self._load(job_id)

    def clear(self) -> None:
        """Remove all events."""
        super().clear()
        self._loaded_job = ""

    @work(group="events", exclusive=True)
    async def _load(self, job_id: str) -> None:
        try:
            self.prepend(await asyncio.to_thread(_events, self._client, job_id))
        except DAEMON_ERRORS:
            self._loaded_job = ""  # the newest are there in any case


def conversation_step(job: RunnerJob, selected: JobStep | None) -> JobStep | None:
    """Return the step in which the agent worked: of the try that is selected, or else the newest one; None if none."""
    steps = () if job.steps is UNSET else job.steps
    agents = [step for step in steps if step.type is StepType.AI_ACTION]
    place = selected and (selected.attempt, selected.try_)
    return next((step for step in agents if (step.attempt, step.try_) == place), agents[-1] if agents else None)


def _heading_colour(line: str) -> str:
    return "accent" if line in {"=== prompt ===", "=== output ==="} else ""


def _diff_version(job: RunnerJob, attempt: int) -> tuple[int, bool]:
    """Return values that change whenever the diff may: each commit is followed by a gate, or by the end."""
    steps = () if job.steps is UNSET else job.steps
    validated = {step.try_ for step in steps if step.attempt == attempt and step.phase is Phase.VALIDATION}
    return len(validated), job.status in OPEN_STATUSES or attempt < job.attempt


def _events(client: DaemonClient, job_id: str) -> list[JobEvent]:
    return [reply.value for reply in islice(api.iter_job_events(client, job_id), EVENTS_MAX)]


def _add_times(times: LogTimes | None, events: Iterable[JobEvent]) -> None:
    for event in events:
        offset, length = event.payload.get("offset"), event.payload.get("length")
        if times and event.type == "step.output" and isinstance(offset, int) and isinstance(length, int):
            times.add(offset + length, time_of_day(event.timestamp)[:8])
