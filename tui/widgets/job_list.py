"""The list of jobs: draws a board; cursor, scroll position and marks belong to jobs, not to rows."""

from collections.abc import Callable

from shared.api import JobPage
from shared.models import OPEN_STATUSES, RunnerJob
from tui.widgets.board import Board, PageRequest, Splice
from tui.widgets.job_row import job_line, placeholder_line
from tui.widgets.lines import RowView
from tui.widgets.paint import StyledLine


class JobList(RowView):
    """The rows of a board; a cursor on the newest job stays on the newest."""

    def __init__(self, board: Board, clock: Callable[[], int], *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.board = board
        self.marked: dict[str, None] = {}
        self.new_above = 0  # rows that were added at the top while the cursor was further down
        self.hidden_columns: frozenset[str] = frozenset()
        self._clock = clock
        self._drawn: dict[int, StyledLine] = {}

    @property
    def count(self) -> int:
        """The number of known jobs."""
        return len(self.board.ids)

    def draw(self, at: int, cells: int) -> StyledLine:
        """Return the line of a job."""
        self._drawn[at] = self._line(at, cells)
        return self._drawn[at]

    def _line(self, at: int, cells: int) -> StyledLine:
        job_id = self.board.ids[at]
        job = self.board.job(at)
        if job is None:
            return placeholder_line(job_id)
        marked, activity = job_id in self.marked, self.board.activity(job_id)
        return job_line(job, activity, cells, self._clock(), marked=marked, without=self.hidden_columns)

    def tick(self, *, ages: bool) -> None:
        """Redraw the visible rows whose times have changed; those of finished jobs only with `ages`."""
        first, last = self.visible_rows
        for at in range(first, min(last + 1, self.count)):
            job = self.board.job(at)
            if (ages or (job and job.status in OPEN_STATUSES)) and self._drawn.get(at) != self._line(
                at, self.line_width
            ):
                self.refresh_line(at)
        self._drawn = {at: line for at, line in self._drawn.items() if first <= at <= last}

    def show(self, board: Board) -> None:
        """Show another board from its newest job on, with nothing marked."""
        self.board = board
        self.cursor = 0
        self.new_above = 0
        self.marked.clear()
        self.recount()
        self.jump(0)

    def merge_page(self, ask: PageRequest, page: JobPage) -> None:
        """Merge a page into the board and redraw; the visible jobs stay where they are."""
        top = self.scroll_offset.y
        newest = top == 0 and self.cursor == 0
        anchors = [self.board.ids[at] for at in (self.cursor, top)] if self.count > top else []
        splice = self.board.merge(ask, page)
        if newest or not anchors:
            self.recount()
            return
        rows = zip((self.cursor, top), anchors, strict=True)
        self.cursor, now_top = (self._row_of(row, job_id, splice) for row, job_id in rows)
        if top:
            self.new_above += max(now_top - top, 0)
        self.recount()
        if top:
            self.jump(now_top)

    def move(self, cursor: int) -> None:
        """Set the cursor; at the top there are no new rows above it."""
        super().move(cursor)
        if self.cursor == 0:
            self.new_above = 0

    def action_mark(self) -> None:
        """Mark or unmark the job under the cursor, and move to the next."""
        if self.count:
            job_id = self.board.ids[self.cursor]
            if job_id in self.marked:
                del self.marked[job_id]
            else:
                self.marked[job_id] = None
            self.move(self.cursor + 1)

    def mark_range(self) -> None:
        """Mark every job from the last marked one to the cursor."""
        last = next((at for at, job_id in enumerate(self.board.ids) if job_id == next(reversed(self.marked), "")), None)
        if last is None:
            return
        first, end = sorted((last, self.cursor))
        self.marked |= dict.fromkeys(self.board.ids[first : end + 1])
        self.refresh()

    def clear_marks(self) -> None:
        """Remove all marks."""
        self.marked.clear()
        self.refresh()

    @property
    def current_id(self) -> str | None:
        """The id of the job under the cursor."""
        return self.board.ids[self.cursor] if self.count else None

    @property
    def current(self) -> RunnerJob | None:
        """The job under the cursor; None if there is none or it is not loaded yet."""
        return self.board.job(self.cursor) if self.count else None

    def _row_of(self, row: int, job_id: str, splice: Splice) -> int:
        """Return the row of a job after a splice; a job that is gone leaves its row to the next one."""
        moved = splice.moved(row)
        if moved is not None:
            return moved
        section = self.board.ids[splice.start : splice.start + splice.added]
        return splice.start + section.index(job_id) if job_id in section else min(row, max(self.count - 1, 0))
