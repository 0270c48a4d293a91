"""The steps of a job as a tree by try, each with its bar in the job's time."""

from collections.abc import Callable, Collection
from itertools import groupby

from msgspec import UNSET, Struct

from shared.models import OPEN_STATUSES, JobStep, Phase, RunnerJob, Status, StepStatus, StepType
from tui.text.jobs import DASH, STEP_STYLES
from tui.text.plain import plain, truncate, width
from tui.text.times import duration, milliseconds
from tui.widgets.lines import RowView
from tui.widgets.paint import StyledLine

# merged from tui.widgets.step_list: The steps of one job, with a cursor.

TryKey = tuple[int, int | None]  # attempt and try

NAME_CELLS = 22
TIME_CELLS = 6
MIN_BAR_CELLS = 16
_CROSS = "\N{BOX DRAWINGS LIGHT DIAGONAL CROSS}"
_BAR = {Phase.SETUP: "█", Phase.EXECUTION: "█", Phase.VALIDATION: "▒", Phase.CLEANUP: "█"}


class StepNode(Struct, frozen=True):
    """A step, or with `step` None the try that the following ones belong to."""

    branch: TryKey
    steps: tuple[JobStep, ...]
    step: JobStep | None
    folded: bool = False


def job_steps(job: RunnerJob) -> tuple[JobStep, ...]:
    """Return the steps of a job; none where the answer had none."""
    return () if job.steps is UNSET else job.steps


def step_nodes(steps: tuple[JobStep, ...], folded: Collection[TryKey]) -> list[StepNode]:
    """Return the rows of the tree; those of folded tries are left out."""
    rows = []
    for branch, group in groupby(steps, key=lambda step: (step.attempt, step.try_)):
        members = tuple(group)
        if branch[1] is not None:
            rows.append(StepNode(branch, members, None, folded=branch in folded))
        if branch not in folded:
            rows += [StepNode(branch, (step,), step) for step in members]
    return rows


class AttemptSpan(Struct, frozen=True):
    """One attempt in milliseconds since 1970: `queued`, so that it waited until `start`, and then until `end`."""

    queued: int
    start: int
    end: int


class Timeline(Struct, frozen=True):
    """The job's time on screen: its attempts on end, by number, without the time between them."""

    attempts: dict[int, AttemptSpan]

    @property
    def total(self) -> int:
        """How many milliseconds that is."""
        return sum(span.end - span.queued for span in self.attempts.values())

    def cell(self, attempt: int, moment: int, cells: int) -> int:
        """Return the cell of a moment of an attempt."""
        before = sum(span.end - span.queued for number, span in self.attempts.items() if number < attempt)
        span = self.attempts[attempt]
        return max(0, min(cells - 1, (before + min(moment, span.end) - span.queued) * cells // max(self.total, 1)))


def job_timeline(job: RunnerJob, now: int) -> Timeline:
    """Return from when to when a job's bars go; when an earlier attempt than the last was queued is not known."""
    attempts = {}
    for attempt in sorted({*(step.attempt for step in job_steps(job)), job.attempt}):
        steps = [step for step in job_steps(job) if step.attempt == attempt and step.started_at]
        first = min((milliseconds(step.started_at) for step in steps if step.started_at), default=now)
        ends = [milliseconds(step.completed_at) if step.completed_at else now for step in steps]
        queued = first
        if attempt == job.attempt:
            queued = milliseconds(job.queued_at or job.created_at)
        elif attempt == 1:
            queued = milliseconds(job.created_at)
        if attempt == job.attempt and job.status in OPEN_STATUSES:
            ends.append(now)
        attempts[attempt] = AttemptSpan(min(queued, first), first, max([first, *ends]))
    return Timeline(attempts)


def timeline_axis(time: Timeline, cells: int) -> str:
    """Return the marks of the time above the bars."""
    span = time.total
    marks = max(2, min(5, cells // 10))
    line = ""
    for at in range(marks):
        place = at * cells // marks
        line = line.ljust(place) + _rough(span * at // marks, whole=span >= 1000 * marks)
    return truncate(line.ljust(cells), cells)


def step_line(node: StepNode, time: Timeline, cells: int, now: int, *, several: bool) -> StyledLine:
    """Return the row of a node; `several` says that there is more than one attempt."""
    glyph, colour, name = _head(node, several=several)
    named = truncate(f"{glyph} {name}", NAME_CELLS)
    spent = _spent(node, now)
    row: list[tuple[str, str]] = [
        (f" {named}{' ' * (NAME_CELLS - width(named))}", colour),
        (f" {spent:>{TIME_CELLS}} ", "" if node.step else "dim"),
    ]
    room = cells - NAME_CELLS - TIME_CELLS - 3
    if room >= MIN_BAR_CELLS:
        row += step_bar(node, time, room, now)
    return row


def step_bar(node: StepNode, time: Timeline, cells: int, now: int) -> list[tuple[str, str]]:
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


def _head(node: StepNode, *, several: bool) -> tuple[str, str, str]:
    step = node.step
    if step is None:
        of = f" of attempt {node.branch[0]}" if several else ""
        return "▸" if node.folded else "▾", _worst(node.steps), f"try {node.branch[1]}{of}"
    state = STEP_STYLES[step.status]
    name = f"gate {plain(step.name)}" if step.type is StepType.GATE else plain(step.name)
    return f"{' ' if node.branch[1] else ''}{state.glyph}", state.colour, name


def _worst(steps: tuple[JobStep, ...]) -> str:
    if any(step.status is StepStatus.FAILED for step in steps):
        return "red"
    return "cyan" if any(step.status is StepStatus.RUNNING for step in steps) else "green"


def _spent(node: StepNode, now: int) -> str:
    starts = [milliseconds(step.started_at) for step in node.steps if step.started_at]
    if not starts:
        return DASH
    ends = [milliseconds(step.completed_at) if step.completed_at else now for step in node.steps if step.started_at]
    return duration(max(ends) - min(starts))


def _rough(span: int, *, whole: bool) -> str:
    """Return a mark of the axis, below a minute in `whole` seconds where that tells them apart."""
    return f"{span // 1000}s" if span < 60_000 and (whole or not span) else duration(span)


class StepTree(RowView):
    """A tree; until somebody moves the cursor it is on the step that matters: the running, the failed, the last."""

    def __init__(self, clock: Callable[[], int], *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(id=id)
        self._clock = clock
        self._branches: list[StepNode] = []
        self._steps: tuple[JobStep, ...] = ()
        self._folded: set[TryKey] = set()
        self._touched = False
        self._time = Timeline({})
        self._several = False

    @property
    def count(self) -> int:
        """How many rows the tree has."""
        return len(self._branches)

    @property
    def timeline(self) -> Timeline:
        """From when to when the bars go."""
        return self._time

    @property
    def now(self) -> int:
        """The time, in milliseconds since 1970."""
        return self._clock()

    @property
    def step(self) -> JobStep | None:
        """The step under the cursor; of a try, its last one."""
        return self._branches[self.cursor].steps[-1] if self._branches else None

    def draw(self, at: int, cells: int) -> StyledLine:
        """Return the row of a step or a try."""
        return step_line(self._branches[at], self._time, cells, self._clock(), several=self._several)

    def show(self, job: RunnerJob) -> None:
        """Show the steps as they are now."""
        meant = self.step.id if self.step and self._touched else None
        self._steps = job_steps(job)
        self._several = any(step.attempt > 1 for step in self._steps)
        self._time = job_timeline(job, self._clock())
        self._arrange(meant or _most_relevant(self._steps, failed=job.status is not Status.COMPLETED))

    def select(self, step_id: str) -> bool:
        """Set the cursor on a step, whose try is unfolded for that; False where there is none."""
        self._folded -= {(step.attempt, step.try_) for step in self._steps if step.id == step_id}
        self._branches = step_nodes(self._steps, self._folded)
        at = next((row for row, node in enumerate(self._branches) if node.step and node.step.id == step_id), None)
        if at is not None:
            self.recount()
            self.move(at)
        return at is not None

    def select_neighbour(self, by: int) -> None:
        """Go to the next step in time, or to the one before."""
        ids = [step.id for step in self._steps]
        at = ids.index(self.step.id) + by if self.step else 0
        if 0 <= at < len(ids):
            self.select(ids[at])

    def move(self, row: int) -> None:
        """Set the cursor, for good."""
        self._touched = True
        super().move(row)

    def action_open(self) -> None:
        """Fold a try, or unfold it; a step is opened."""
        if not self._branches:
            return
        node = self._branches[self.cursor]
        if node.step:
            super().action_open()
            return
        self._folded ^= {node.branch}
        self._branches = step_nodes(self._steps, self._folded)
        self.recount()

    def _arrange(self, meant: str | None) -> None:
        self._branches = step_nodes(self._steps, self._folded)
        at = next((row for row, node in enumerate(self._branches) if node.step and node.step.id == meant), None)
        if at is not None:
            self.cursor = at
        self.recount()
        self.reveal()


def _most_relevant(steps: tuple[JobStep, ...], *, failed: bool) -> str | None:
    for status in (StepStatus.RUNNING, *([StepStatus.FAILED] if failed else [])):
        if found := [step.id for step in steps if step.status is status and step.attempt == steps[-1].attempt]:
            return found[-1]
    return steps[-1].id if steps else None
