"""The steps of a job as a tree by try, each with its bar in the job's time."""

from collections.abc import Collection
from itertools import groupby

from msgspec import UNSET, Struct

from shared.models import OPEN, JobStep, Phase, RunnerJob, StepStatus, StepType
from tui.plain import cut, plain, width
from tui.times import duration, milliseconds
from tui.widgets.paint import Line
from tui.wording import NOTHING, STEP

Branch = tuple[int, int | None]  # attempt and try

NAME = 22
TIME = 6
BAR_MIN = 16
_CROSS = "\N{BOX DRAWINGS LIGHT DIAGONAL CROSS}"
_BAR = {Phase.SETUP: "█", Phase.EXECUTION: "█", Phase.VALIDATION: "▒", Phase.CLEANUP: "█"}


class Node(Struct, frozen=True):
    """A step, or with `step` None the try that the following ones belong to."""

    branch: Branch
    steps: tuple[JobStep, ...]
    step: JobStep | None
    folded: bool = False


def steps_of(job: RunnerJob) -> tuple[JobStep, ...]:
    """Return the steps of a job; none where the answer had none."""
    return () if job.steps is UNSET else job.steps


def nodes(steps: tuple[JobStep, ...], folded: Collection[Branch]) -> list[Node]:
    """Return the rows of the tree; those of folded tries are left out."""
    rows = []
    for branch, group in groupby(steps, key=lambda step: (step.attempt, step.try_)):
        members = tuple(group)
        if branch[1] is not None:
            rows.append(Node(branch, members, None, folded=branch in folded))
        if branch not in folded:
            rows += [Node(branch, (step,), step) for step in members]
    return rows


class Span(Struct, frozen=True):
    """One attempt in milliseconds since 1970: `queued`, so that it waited until `start`, and then until `end`."""

    queued: int
    start: int
    end: int


class Time(Struct, frozen=True):
    """The job's time on screen: its attempts on end, by number, without the time between them."""

    attempts: dict[int, Span]

    @property
    def total(self) -> int:
        """How many milliseconds that is."""
        return sum(span.end - span.queued for span in self.attempts.values())

    def cell(self, attempt: int, moment: int, cells: int) -> int:
        """Return the cell of a moment of an attempt."""
        before = sum(span.end - span.queued for number, span in self.attempts.items() if number < attempt)
        span = self.attempts[attempt]
        return max(0, min(cells - 1, (before + min(moment, span.end) - span.queued) * cells // max(self.total, 1)))


def time_of(job: RunnerJob, now: int) -> Time:
    """Return from when to when a job's bars go; when an earlier attempt than the last was queued is not known."""
    attempts = {}
    for attempt in sorted({*(step.attempt for step in steps_of(job)), job.attempt}):
        steps = [step for step in steps_of(job) if step.attempt == attempt and step.started_at]
        first = min((milliseconds(step.started_at) for step in steps if step.started_at), default=now)
        ends = [milliseconds(step.completed_at) if step.completed_at else now for step in steps]
        queued = first
        if attempt == job.attempt:
            queued = milliseconds(job.queued_at or job.created_at)
        elif attempt == 1:
            queued = milliseconds(job.created_at)
        if attempt == job.attempt and job.status in OPEN:
            ends.append(now)
        attempts[attempt] = Span(min(queued, first), first, max([first, *ends]))
    return Time(attempts)


def axis(time: Time, cells: int) -> str:
    """Return the marks of the time above the bars."""
    span = time.total
    marks = max(2, min(5, cells // 10))
    line = ""
    for at in range(marks):
        place = at * cells // marks
        line = line.ljust(place) + _rough(span * at // marks, whole=span >= 1000 * marks)
    return cut(line.ljust(cells), cells)


def line(node: Node, time: Time, cells: int, now: int, *, several: bool) -> Line:
    """Return the row of a node; `several` says that there is more than one attempt."""
    glyph, colour, name = _head(node, several=several)
    named = cut(f"{glyph} {name}", NAME)
    spent = _spent(node, now)
    row: list[tuple[str, str]] = [
        (f" {named}{' ' * (NAME - width(named))}", colour),
        (f" {spent:>{TIME}} ", "" if node.step else "dim"),
    ]
    room = cells - NAME - TIME - 3
    if room >= BAR_MIN:
        row += bar(node, time, room, now)
    return row


def bar(node: Node, time: Time, cells: int, now: int) -> list[tuple[str, str]]:
    """Return the bar of a node: each step from its start to its end, and a cross where it failed."""
    drawn = [" "] * cells
    attempt = node.branch[0]
    if node.step and node.step.ordinal == 1:
        span = time.attempts[attempt]
        for at in range(time.cell(attempt, span.queued, cells), time.cell(attempt, span.start, cells)):
            drawn[at] = "░"
    for step in node.steps:
        if step.started_at is None:
            continue
        first = time.cell(attempt, milliseconds(step.started_at), cells)
        last = time.cell(attempt, milliseconds(step.completed_at) - 1 if step.completed_at else now, cells)
        for at in range(first, max(first, last) + 1):
            drawn[at] = _BAR[step.phase]
        if step.status is StepStatus.FAILED:
            drawn[max(first, last)] = _CROSS
    failed = node.step is not None and node.step.status is StepStatus.FAILED
    return [("".join(drawn), "red" if failed else "cyan")]


def _head(node: Node, *, several: bool) -> tuple[str, str, str]:
    step = node.step
    if step is None:
        of = f" of attempt {node.branch[0]}" if several else ""
        return "▸" if node.folded else "▾", _worst(node.steps), f"try {node.branch[1]}{of}"
    state = STEP[step.status]
    name = f"gate {plain(step.name)}" if step.type is StepType.GATE else plain(step.name)
    return f"{' ' if node.branch[1] else ''}{state.glyph}", state.colour, name


def _worst(steps: tuple[JobStep, ...]) -> str:
    if any(step.status is StepStatus.FAILED for step in steps):
        return "red"
    return "cyan" if any(step.status is StepStatus.RUNNING for step in steps) else "green"


def _spent(node: Node, now: int) -> str:
    starts = [milliseconds(step.started_at) for step in node.steps if step.started_at]
    if not starts:
        return NOTHING
    ends = [milliseconds(step.completed_at) if step.completed_at else now for step in node.steps if step.started_at]
    return duration(max(ends) - min(starts))


def _rough(span: int, *, whole: bool) -> str:
    """Return a mark of the axis, below a minute in `whole` seconds where that tells them apart."""
    return f"{span // 1000}s" if span < 60_000 and (whole or not span) else duration(span)
