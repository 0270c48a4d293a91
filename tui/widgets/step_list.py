"""The steps of one job, with a cursor."""

from collections.abc import Callable

from shared.models import JobStep, RunnerJob, Status, StepStatus
from tui.widgets.paint import Line
from tui.widgets.rows import Rows
from tui.widgets.step_row import Branch, Node, Time, line, nodes, steps_of, time_of


class StepList(Rows):
    """A tree; until somebody moves the cursor it is on the step that matters: the running, the failed, the last."""

    def __init__(self, clock: Callable[[], int], *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(id=id)
        self._clock = clock
        self._branches: list[Node] = []
        self._steps: tuple[JobStep, ...] = ()
        self._folded: set[Branch] = set()
        self._touched = False
        self._time = Time({})
        self._several = False

    @property
    def count(self) -> int:
        """How many rows the tree has."""
        return len(self._branches)

    @property
    def time(self) -> Time:
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

    def draw(self, at: int, cells: int) -> Line:
        """Return the row of a step or a try."""
        return line(self._branches[at], self._time, cells, self._clock(), several=self._several)

    def show(self, job: RunnerJob) -> None:
        """Show the steps as they are now."""
        meant = self.step.id if self.step and self._touched else None
        self._steps = steps_of(job)
        self._several = any(step.attempt > 1 for step in self._steps)
        self._time = time_of(job, self._clock())
        self._arrange(meant or _that_matters(self._steps, failed=job.status is not Status.COMPLETED))

    def select(self, step_id: str) -> bool:
        """Set the cursor on a step, whose try is unfolded for that; False where there is none."""
        self._folded -= {(step.attempt, step.try_) for step in self._steps if step.id == step_id}
        self._branches = nodes(self._steps, self._folded)
        at = next((row for row, node in enumerate(self._branches) if node.step and node.step.id == step_id), None)
        if at is not None:
            self.recount()
            self.move(at)
        return at is not None

    def next_step(self, by: int) -> None:
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
        self._branches = nodes(self._steps, self._folded)
        self.recount()

    def _arrange(self, meant: str | None) -> None:
        self._branches = nodes(self._steps, self._folded)
        at = next((row for row, node in enumerate(self._branches) if node.step and node.step.id == meant), None)
        if at is not None:
            self.cursor = at
        self.recount()
        self.reveal()


def _that_matters(steps: tuple[JobStep, ...], *, failed: bool) -> str | None:
    for status in (StepStatus.RUNNING, *([StepStatus.FAILED] if failed else [])):
        if found := [step.id for step in steps if step.status is status and step.attempt == steps[-1].attempt]:
            return found[-1]
    return steps[-1].id if steps else None
