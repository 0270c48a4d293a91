"""Prints the progress of a job: polls its events and turns them into lines."""

import time
from collections.abc import Callable, Iterable, Iterator

from shared.models import OPEN_STATUSES, JobEvent, JobStep, RunnerJob, StepStatus, StepType
from tui.cli.demo.environment import DemoFailed
from tui.cli.verbs.show import last_lines
from tui.client import api
from tui.client.http import DaemonClient
from tui.text.decisions import Paint
from tui.text.jobs import STEP_STYLES
from tui.text.plain import plain, truncate
from tui.text.times import duration, milliseconds

_JOB_TIMEOUT = 60.0  # seconds
_POLL_SECONDS = 0.05
_LINE_CELLS = 96
_OUTPUT_LINES = 9  # of a failed gate

_STEP_ENDS = {"step.completed", "step.failed", "step.skipped"}  # a gate has gate.passed or gate.failed as well


class ProgressFormatter:
    """Turns events into lines: the output of an agent as it arrives, that of a gate if it fails."""

    def __init__(self, paint: Paint) -> None:
        self._paint = paint
        self._partial: dict[str, str] = {}  # the incomplete last line of a step's output

    def lines(self, events: Iterable[JobEvent], steps: Iterable[JobStep]) -> Iterator[str]:
        """Yield the lines of further events; `steps` must be at least as new as the events."""
        known = {step.id: step for step in steps}
        for event in events:
            step = known.get(event.step_id or "")
            if step is None:
                continue
            if event.type == "step.output":
                yield from self._output(step, str(event.payload.get("text", "")))
            elif event.type == "step.started" and step.type is StepType.AI_ACTION:
                yield f"{_label(step)} starts"
            elif event.type in _STEP_ENDS:
                yield from self._ended(step)

    def _output(self, step: JobStep, text: str) -> Iterator[str]:
        if step.type is not StepType.AI_ACTION:
            return
        *complete, self._partial[step.id] = (self._partial.get(step.id, "") + text).split("\n")
        yield from map(self._quoted, complete)

    def _ended(self, step: JobStep) -> Iterator[str]:
        if rest := self._partial.pop(step.id, ""):
            yield self._quoted(rest)
        style = STEP_STYLES[step.status]
        took = f" in {duration(step.duration_ms)}" if step.duration_ms is not None else ""
        exit_code = f", exit {step.exit_code}" if step.exit_code else ""
        yield f"{_label(step)} {self._paint(f'{style.glyph} {style.word}', style.colour)}{exit_code}{took}"
        if step.type is StepType.GATE and step.status is StepStatus.FAILED:
            yield from map(self._quoted, last_lines(step.output, _OUTPUT_LINES))

    def _quoted(self, line: str) -> str:
        return f"{'':10}{self._paint('|', 'dim')} {truncate(plain(line.expandtabs()), _LINE_CELLS)}".rstrip()


def follow_job(client: DaemonClient, job_id: str, write: Callable[[str], None], paint: Paint) -> RunnerJob:
    """Write the progress of a job until it has ended, and return it; raises DemoFailed if it takes too long."""
    formatter, after, ended = ProgressFormatter(paint), 0, False
    deadline = time.monotonic() + _JOB_TIMEOUT
    while time.monotonic() < deadline:
        events = api.list_job_events(client, job_id, after).value.items
        job = api.get_job(client, job_id).value
        for line in formatter.lines(events, job.steps or ()):
            write(f"   {line}")
        if ended and not events:
            if job.started_at and job.completed_at:
                took = duration(milliseconds(job.completed_at) - milliseconds(job.started_at))
                write(f"   The job is {job.status.value}, after {took} and {job.tries.used} tries.")
            return job
        after = events[-1].id if events else after
        ended = job.status not in OPEN_STATUSES
        time.sleep(_POLL_SECONDS)
    raise DemoFailed(f"job {plain(job_id)} did not end within {_JOB_TIMEOUT:g} s")


def _label(step: JobStep) -> str:
    kind = "gate " if step.type is StepType.GATE else ""
    number = f"try {step.try_}" if step.try_ is not None else step.phase.value.lower()
    return f"{number:10}{kind}{plain(step.name)}"
