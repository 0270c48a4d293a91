"""The steps of a job as a tree by try, each with a bar on the timeline of the job."""

from collections.abc import Callable, Collection
from itertools import groupby

from msgspec import UNSET, Struct
from rich.cells import cell_len

from shared.models import OPEN_STATUSES, JobStep, Phase, RunnerJob, Status, StepStatus, StepType
from tui.text.jobs import DASH, STEP_STYLES
from tui.text.plain import plain
from tui.text.times import duration, milliseconds
from tui.widgets.lines import RowView
from tui.widgets.paint import StyledLine, crop

TryKey = tuple[int, int | None]  # attempt and try

NAME_CELLS = 22
TIME_CELLS = 6
MIN_BAR_CELLS = 16
_CROSS = "\N{BOX DRAWINGS LIGHT DIAGONAL CROSS}"
_BAR = {Phase.SETUP: "█", Phase.EXECUTION: "█", Phase.VALIDATION: "▒", Phase.CLEANUP: "█"}


class StepNode(Struct, frozen=True):
    """A row of the tree: a step, or, with `step` None, the try that the following steps belong to."""

    try_key: TryKey
    steps: tuple[JobStep, ...]
    step: JobStep | None
    folded: bool = False


def job_steps(job: RunnerJob) -> tuple[JobStep, ...]:
    """Return the steps of a job; none if the document has none."""
    return () if job.steps is UNSET else job.steps


def step_nodes(steps: tuple[JobStep, ...], folded: Collection[TryKey]) -> list[StepNode]:
    """Return the rows of the tree, without the steps of folded tries."""
    rows = []
    for key, group in groupby(steps, key=lambda step: (step.attempt, step.try_)):
        members = tuple(group)
        if key[1] is not None:
            rows.append(StepNode(key, members, None, folded=key in folded))
        if key not in folded:
            rows += [StepNode(key, (step,), step) for step in members]
    return rows


class AttemptSpan(Struct, frozen=True):
    """One attempt in milliseconds since 1970: it waited from `queued` to `start`, and ran until `end`."""

    queued: int
    start: int
    end: int


class Timeline(Struct, frozen=True):
    """The attempts of a job, by number, drawn one after the other without the time between them."""

    attempts: dict[int, AttemptSpan]

    @property
    def total(self) -> int:
        """The length of all attempts in milliseconds."""
        return sum(span.end - span.queued for span in self.attempts.values())

    def cell(self, attempt: int, moment: int, cells: int) -> int:
        """Return the cell of a moment, in milliseconds since 1970, of an attempt."""
        before = sum(span.end - span.queued for number, span in self.attempts.items() if number < attempt)
        span = self.attempts[attempt]
        return max(0, min(cells - 1, (before + min(moment, span.end) - span.queued) * cells // max(self.total, 1)))


def job_timeline(job: RunnerJob, now: int) -> Timeline:
    """Return the timeline of a job; of the attempts between the first and the last the time in the queue is unknown."""
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


def timeline_axis(timeline: Timeline, cells: int) -> str:
    """Return the time marks above the bars."""
    span = timeline.total
    marks = max(2, min(5, cells // 10))
    line = ""
    for at in range(marks):
        place = at * cells // marks
        line = line.ljust(place) + _axis_mark(span * at // marks, whole=span >= 1000 * marks)
    return crop(line.ljust(cells), cells)


def step_line(node: StepNode, timeline: Timeline, cells: int, now: int, *, several: bool) -> StyledLine:
    """Return the row of a node; `several` means that the job has more than one attempt."""
    glyph, colour, name = _node_label(node, several=several)
    label = crop(f"{glyph} {name}", NAME_CELLS)
    spent = _node_duration(node, now)
    row: list[tuple[str, str]] = [
        (f" {label}{' ' * (NAME_CELLS - cell_len(label))}", colour),
        (f" {spent:>{TIME_CELLS}} ", "" if node.step else "dim"),
    ]
    room = cells - NAME_CELLS - TIME_CELLS - 3
    if room >= MIN_BAR_CELLS:
        row += step_bar(node, timeline, room, now)
    return row


def step_bar(node: StepNode, timeline: Timeline, cells: int, now: int) -> list[tuple[str, str]]:
    """Return the bar of a node: each step from its start to its end, with a cross at the end of a failed one."""
    drawn = [" "] * cells
    attempt = node.try_key[0]
    if node.step and node.step.ordinal == 1:
        span = timeline.attempts[attempt]
        for at in range(timeline.cell(attempt, span.queued, cells), timeline.cell(attempt, span.start, cells)):
            drawn[at] = "░"
    for step in node.steps:
        if step.started_at is None:
            continue
        first = timeline.cell(attempt, milliseconds(step.started_at), cells)
        last = timeline.cell(attempt, milliseconds(step.completed_at) - 1 if step.completed_at else now, cells)
        for at in range(first, max(first, last) + 1):
            drawn[at] = _BAR[step.phase]
        if step.status is StepStatus.FAILED:
            drawn[max(first, last)] = _CROSS
    failed = node.step is not None and node.step.status is StepStatus.FAILED
    return [("".join(drawn), "red" if failed else "cyan")]


def _node_label(node: StepNode, *, several: bool) -> tuple[str, str, str]:
    step = node.step
    if step is None:
        of = f" of attempt {node.try_key[0]}" if several else ""
        return "▸" if node.folded else "▾", _try_colour(node.steps), f"try {node.try_key[1]}{of}"
    state = STEP_STYLES[step.status]
    name = f"gate {plain(step.name)}" if step.type is StepType.GATE else plain(step.name)
    return f"{' ' if node.try_key[1] else ''}{state.glyph}", state.colour, name


def _try_colour(steps: tuple[JobStep, ...]) -> str:
    if any(step.status is StepStatus.FAILED for step in steps):
        return "red"
    return "cyan" if any(step.status is StepStatus.RUNNING for step in steps) else "green"


def _node_duration(node: StepNode, now: int) -> str:
    starts = [milliseconds(step.started_at) for step in node.steps if step.started_at]
    if not starts:
        return DASH
    ends = [milliseconds(step.completed_at) if step.completed_at else now for step in node.steps if step.started_at]
    return duration(max(ends) - min(starts))


def _axis_mark(span: int, *, whole: bool) -> str:
    """Return a time mark; below a minute in `whole` seconds, if that distinguishes the marks."""
    return f"{span // 1000}s" if span < 60_000 and (whole or not span) else duration(span)


class StepTree(RowView):
    """The tree; until it is moved, the cursor is on the most relevant step: running, failed, or last."""

    def __init__(self, clock: Callable[[], int], *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(id=id)
        self._clock = clock
        self._rows: list[StepNode] = []
        self._steps: tuple[JobStep, ...] = ()
        self._folded: set[TryKey] = set()
        self._moved = False
        self._timeline = Timeline({})
        self._several = False

    @property
    def count(self) -> int:
        """The number of rows."""
        return len(self._rows)

    @property
    def timeline(self) -> Timeline:
        """The timeline that the bars are drawn on."""
        return self._timeline

    @property
    def now(self) -> int:
        """The time, in milliseconds since 1970."""
        return self._clock()

    @property
    def step(self) -> JobStep | None:
        """The step under the cursor; for a try, its last step."""
        return self._rows[self.cursor].steps[-1] if self._rows else None

    def draw(self, at: int, cells: int) -> StyledLine:
        """Return the row of a step or a try."""
        return step_line(self._rows[at], self._timeline, cells, self._clock(), several=self._several)

    def show(self, job: RunnerJob) -> None:
        """Show the steps of a job; the cursor stays on its step if it was moved."""
        selected = self.step.id if self.step and self._moved else None
        self._steps = job_steps(job)
        self._several = any(step.attempt > 1 for step in self._steps)
        self._timeline = job_timeline(job, self._clock())
        self._rebuild(selected or _most_relevant(self._steps, failed=job.status is not Status.COMPLETED))

    def select(self, step_id: str) -> bool:
        """Set the cursor on a step, unfolding its try; return False if there is no such step."""
        self._folded -= {(step.attempt, step.try_) for step in self._steps if step.id == step_id}
        self._rows = step_nodes(self._steps, self._folded)
        at = next((row for row, node in enumerate(self._rows) if node.step and node.step.id == step_id), None)
        if at is not None:
            self.recount()
            self.move(at)
        return at is not None

    def select_neighbour(self, by: int) -> None:
        """Select the next step in time (`by` 1), or the previous one (-1)."""
        ids = [step.id for step in self._steps]
        at = ids.index(self.step.id) + by if self.step else 0
        if 0 <= at < len(ids):
            self.select(ids[at])

    def move(self, row: int) -> None:
        """Set the cursor, which stays there from now on."""
        self._moved = True
        super().move(row)

    def action_open(self) -> None:
        """Fold or unfold a try, or open a step."""
        if not self._rows:
            return
        node = self._rows[self.cursor]
        if node.step:
            super().action_open()
            return
        self._folded ^= {node.try_key}
        self._rows = step_nodes(self._steps, self._folded)
        self.recount()

    def _rebuild(self, selected: str | None) -> None:
        self._rows = step_nodes(self._steps, self._folded)
        at = next((row for row, node in enumerate(self._rows) if node.step and node.step.id == selected), None)
        if at is not None:
            self.cursor = at
        self.recount()
        self.reveal()


def _most_relevant(steps: tuple[JobStep, ...], *, failed: bool) -> str | None:
    """Return the id of the running, failed or last step of the last attempt."""
    for status in (StepStatus.RUNNING, *([StepStatus.FAILED] if failed else [])):
        if found := [step.id for step in steps if step.status is status and step.attempt == steps[-1].attempt]:
            return found[-1]
    return steps[-1].id if steps else None
