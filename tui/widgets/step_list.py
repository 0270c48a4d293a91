"""The steps of one job, with a cursor."""

from collections.abc import Callable

from shared.models import JobStep, RunnerJob, StepStatus
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
        self._time = Time(0, 0, 1)
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
        self._arrange(meant or _that_matters(self._steps))

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


def _that_matters(steps: tuple[JobStep, ...]) -> str | None:
    for status in (StepStatus.RUNNING, StepStatus.FAILED):
        if found := [step.id for step in steps if step.status is status and step.attempt == steps[-1].attempt]:
            return found[-1]
    return steps[-1].id if steps else None
