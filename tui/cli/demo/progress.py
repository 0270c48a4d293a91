"""A job as it happens: its events, asked for over and over, as lines for a reader."""

import time
from collections.abc import Callable, Iterable, Iterator

from shared.api import EventPage
from shared.models import OPEN_STATUSES, JobEvent, JobStep, RunnerJob, StepStatus, StepType
from tui.cli.demo.daemon import DemoFailed
from tui.client.http import DaemonClient, decode, job_path
from tui.text.decisions import Paint
from tui.text.jobs import STEP_STYLES
from tui.text.plain import plain, truncate
from tui.text.times import duration, milliseconds

_ENDS_WITHIN = 60.0  # seconds
_PAUSE = 0.05
_LINE = 96  # cells
_SAID = 9  # lines of a failed gate

_ENDS = {"step.completed", "step.failed", "step.skipped"}  # a gate says gate.passed or gate.failed besides


class ProgressFormatter:
    """Turns events into lines: what an agent says as it comes, what a gate says when it failed."""

    def __init__(self, paint: Paint) -> None:
        self._paint = paint
        self._half: dict[str, str] = {}  # the line of a step that has no end yet

    def lines(self, events: Iterable[JobEvent], steps: Iterable[JobStep]) -> Iterator[str]:
        """Yield the lines of some more events; `steps` must be as new as they are."""
        known = {step.id: step for step in steps}
        for event in events:
            step = known.get(event.step_id or "")
            if step is None:
                continue
            if event.type == "step.output":
                yield from self._output(step, str(event.payload.get("text", "")))
            elif event.type == "step.started" and step.type is StepType.AI_ACTION:
                yield f"{_label(step)} starts"
            elif event.type in _ENDS:
                yield from self._ended(step)

    def _output(self, step: JobStep, text: str) -> Iterator[str]:
        if step.type is not StepType.AI_ACTION:
            return
        *whole, self._half[step.id] = (self._half.get(step.id, "") + text).split("\n")
        yield from map(self._quoted, whole)

    def _ended(self, step: JobStep) -> Iterator[str]:
        if rest := self._half.pop(step.id, ""):
            yield self._quoted(rest)
        state = STEP_STYLES[step.status]
        spent = f" in {duration(step.duration_ms)}" if step.duration_ms is not None else ""
        ended = f", exit {step.exit_code}" if step.exit_code else ""
        yield f"{_label(step)} {self._paint(f'{state.glyph} {state.word}', state.colour)}{ended}{spent}"
        if step.type is StepType.GATE and step.status is StepStatus.FAILED:
            yield from map(self._quoted, [line for line in step.output.splitlines() if line.strip()][-_SAID:])

    def _quoted(self, line: str) -> str:
        return f"{'':10}{self._paint('|', 'dim')} {truncate(plain(line.expandtabs()), _LINE)}".rstrip()


def follow_job(daemon: DaemonClient, job_id: str, say: Callable[[str], None], paint: Paint) -> RunnerJob:
    """Tell what happens to a job until it is over, and return it; raises DidNotHappen where it takes too long."""
    reel, after, over = ProgressFormatter(paint), 0, False
    deadline = time.monotonic() + _ENDS_WITHIN
    while time.monotonic() < deadline:
        query = [("after", str(after)), ("limit", "500")]
        events = decode(daemon.get(f"{job_path(job_id)}/events", query), EventPage).items
        job = decode(daemon.get(job_path(job_id)), RunnerJob)
        for line in reel.lines(events, job.steps or ()):
            say(f"   {line}")
        if over and not events:
            if job.started_at and job.completed_at:
                span = duration(milliseconds(job.completed_at) - milliseconds(job.started_at))
                say(f"   The job is {job.status.value}, after {span} and {job.tries.used} tries.")
            return job
        after = events[-1].id if events else after
        over = job.status not in OPEN_STATUSES
        time.sleep(_PAUSE)
    raise DemoFailed(f"job {plain(job_id)} did not end within {_ENDS_WITHIN:g} s")


def _label(step: JobStep) -> str:
    kind = "gate " if step.type is StepType.GATE else ""
    number = f"try {step.try_}" if step.try_ is not None else step.phase.value.lower()
    return f"{number:10}{kind}{plain(step.name)}"
