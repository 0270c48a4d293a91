"""The steps of a job as a tree by try, each with its bar in the job's time."""

from collections.abc import Collection
from itertools import groupby

from msgspec import UNSET, Struct

from shared.models import JobStep, Phase, RunnerJob, StepStatus, StepType
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


class Time(Struct, frozen=True):
    """The job's time on screen, in milliseconds since 1970; `start` is when it was queued."""

    start: int
    begun: int
    end: int

    def cell(self, moment: int, cells: int) -> int:
        """Return the cell of a moment."""
        span = max(self.end - self.start, 1)
        return max(0, min(cells - 1, (moment - self.start) * cells // span))


def time_of(job: RunnerJob, now: int) -> Time:
    """Return from when to when a job's bars go."""
    stamps = [job.queued_at or job.created_at]
    begun = milliseconds(job.started_at) if job.started_at else now
    ends = [milliseconds(step.completed_at) for step in steps_of(job) if step.completed_at]
    running = any(step.status is StepStatus.RUNNING for step in steps_of(job))
    start = min(milliseconds(stamps[0]), *(milliseconds(s.started_at) for s in steps_of(job) if s.started_at), begun)
    return Time(start, begun, max([now] if running or not ends else [*ends, begun]))


def axis(time: Time, cells: int) -> str:
    """Return the marks of the time above the bars."""
    span = time.end - time.start
    marks = max(2, min(5, cells // 10))
    line = ""
    for at in range(marks):
        place = at * cells // marks
        line = line.ljust(place) + _rough(span * at // marks)
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
    if node.step and node.step.ordinal == 1 and node.branch[0] == 1:
        for at in range(time.cell(time.begun, cells)):
            drawn[at] = "░"
    for step in node.steps:
        if step.started_at is None:
            continue
        first = time.cell(milliseconds(step.started_at), cells)
        last = time.cell(milliseconds(step.completed_at) - 1 if step.completed_at else now, cells)
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


def _rough(span: int) -> str:
    """Return a mark of the axis, in whole seconds below a minute."""
    return f"{span // 1000}s" if span < 60_000 else duration(span)
