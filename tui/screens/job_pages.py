"""What is long of a job: the output of a step, with the times it was written at, a diff, all that happened."""

import asyncio
import re
from collections.abc import Iterable
from functools import partial
from itertools import islice

from msgspec import UNSET
from textual import work

from shared.models import OPEN_STATUSES, JobEvent, JobStep, Phase, RunnerJob
from tui.client import export
from tui.client.http import DaemonClient, decode, job_path
from tui.screens.base import REFUSALS
from tui.text import diffs
from tui.text.times import time_of_day
from tui.widgets.events import EventList
from tui.widgets.log_text import LogTimes
from tui.widgets.searchable import LogPanel

EVENTS_MAX = 20_000  # events that are asked for


class StepLog(LogPanel):
    """The output of one step."""

    def __init__(self, daemon: DaemonClient) -> None:
        super().__init__(id="log")
        self._daemon = daemon
        self._job_id = ""
        self._step: JobStep | None = None

    @property
    def path(self) -> str:
        """Where the daemon has it."""
        return f"{job_path(self._job_id)}/steps/{self._step.id if self._step else '-'}/log"

    @property
    def name(self) -> str:
        """What the step is called, as a part of a file's name."""
        step = self._step
        return re.sub(r"[^\w.-]", "_", f"{step.name}-{step.try_ or 1}") if step else "log"

    def show(self, job_id: str, step: JobStep) -> None:
        """Show the output of a step, or more of it."""
        other = self._step is None or step.id != self._step.id
        self._job_id, self._step = job_id, step
        if other:
            self.open(partial(self._daemon.part, self.path))
            if self.log_view.times:
                self._take_times()
        elif step.completed_at is None:
            self.check_growth()

    def happened(self, events: Iterable[JobEvent]) -> None:
        """Read more where the step said more."""
        mine = [event for event in events if self._step and event.step_id == self._step.id]
        if mine:
            _add_times(self.log_view.times, mine)
            self.check_growth()

    def show_times(self) -> None:
        """Put times beside the lines, or take them away."""
        if self.log_view.times:
            self.log_view.times = None
            self.log_view.recount()
        elif self._step:
            self._take_times()

    def _take_times(self) -> None:
        self.log_view.times = LogTimes()
        self.log_view.recount()
        self._ask_times(self.log_view.times)

    @work(group="times", exclusive=True)
    async def _ask_times(self, times: LogTimes) -> None:
        """Ask which bytes were written when: the log itself does not know, its events do."""
        step = self._step
        try:
            found = await asyncio.to_thread(_events, self._daemon, self._job_id)
        except REFUSALS:
            return  # without times it is a log all the same
        _add_times(times, [event for event in found if step and event.step_id == step.id])
        self.log_view.refresh()


class JobDiff(LogPanel):
    """What an attempt has changed."""

    def __init__(self, daemon: DaemonClient) -> None:
        super().__init__(
            id="diff",
            line_formatter=diffs.diff_line,
            colour=diffs.diff_colour,
            empty="nothing was changed",
            grows=False,
        )
        self._daemon = daemon
        self._of: tuple[object, ...] = ()
        self.path = ""

    def show(self, job: RunnerJob, attempt: int) -> None:
        """Show the diff of an attempt as it is now."""
        wanted = (job.id, attempt, *_commits(job, attempt))
        if wanted != self._of:
            self._of = wanted
            self.path = f"{job_path(job.id)}/diff?attempt={attempt}"
            self.open(partial(self._daemon.part, self.path))


class JobEvents(EventList):
    """What happened to one job: what came with it and what comes, and once somebody looks, all from its beginning."""

    def __init__(self, daemon: DaemonClient) -> None:
        super().__init__(id="events", with_job=False)
        self._daemon = daemon
        self._whole_of = ""

    def show(self, job_id: str) -> None:
        """Ask for all of them, once."""
        if job_id != self._whole_of:
            self._whole_of = job_id
            self._ask(job_id)

    def clear(self) -> None:
        """Forget all."""
        super().clear()
        self._whole_of = ""

    @work(group="events", exclusive=True)
    async def _ask(self, job_id: str) -> None:
        try:
            self.prepend(await asyncio.to_thread(_events, self._daemon, job_id))
        except REFUSALS:
            self._whole_of = ""  # the newest are there all the same


def _commits(job: RunnerJob, attempt: int) -> tuple[int, bool]:
    """Return what changes whenever there may be another commit to see: each is followed by a step, or by the end."""
    steps = () if job.steps is UNSET else job.steps
    judged = {step.try_ for step in steps if step.attempt == attempt and step.phase is Phase.VALIDATION}
    return len(judged), job.status in OPEN_STATUSES or attempt < job.attempt


def _events(daemon: DaemonClient, job_id: str) -> list[JobEvent]:
    return [decode(document, JobEvent) for document in islice(export.iter_raw_events(daemon, job_id), EVENTS_MAX)]


def _add_times(times: LogTimes | None, events: Iterable[JobEvent]) -> None:
    for event in events:
        offset, length = event.payload.get("offset"), event.payload.get("length")
        if times and event.type == "step.output" and isinstance(offset, int) and isinstance(length, int):
            times.add(offset + length, time_of_day(event.timestamp)[:8])
