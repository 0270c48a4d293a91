"""The list of jobs: draws a board, and acts on the selected jobs.

Selected are the marked jobs, the one under the cursor, or all that match the query. Cursor, scroll position and marks
belong to jobs, not to rows.
"""

from collections.abc import Mapping
from typing import ClassVar

from textual.binding import Binding, BindingType

from shared.api import JobPage
from shared.models import OPEN_STATUSES, RunnerJob, Status
from tui.screens.actions import (
    APPROVE,
    CANCEL,
    JOB_ACTIONS,
    RETRY,
    JobAction,
    applicable,
    export_jobs,
    run_action,
    run_bulk_action,
)
from tui.screens.session import Session
from tui.text.links import thread_url
from tui.widgets.bar import BarSegment
from tui.widgets.board import PageRequest
from tui.widgets.job_order import SortedBoard
from tui.widgets.job_row import job_line, placeholder_line
from tui.widgets.lines import RowView
from tui.widgets.paint import StyledLine


class JobList(RowView):
    """The rows of a board; a cursor on the newest job stays on the newest.

    `filter` is what all its jobs match, and `counts` are the numbers of those by status, where they are known.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "mark"),
        Binding("v", "range", "mark from the last mark to here", show=False),
        Binding("A", "all", "mark all that match", show=False),
        Binding("c", "act('cancel')", "cancel"),
        Binding("r", "act('retry')", "retry"),
        Binding("a", "act('approve')", "approve"),
        Binding("d", "act('deny')", "deny"),
        Binding("w", "why", "why"),
        Binding("y", "copy", "copy id", show=False),
        Binding("o", "browse", "open thread", show=False),
        Binding("e", "export", "export as JSON lines", show=False),
    ]

    def __init__(self, session: Session, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(id=id)
        self.board = SortedBoard()
        self.filter = ""
        self.counts: dict[Status, int] | None = None
        self.marked: dict[str, None] = {}
        self.all_selected = False  # also the jobs that are not loaded
        self.new_above = 0  # rows that were added at the top while the cursor was further down
        self.hidden_columns: frozenset[str] = frozenset()
        self._session = session
        self._drawn: dict[int, StyledLine] = {}

    @property
    def count(self) -> int:
        """The number of known jobs."""
        return len(self.board.ids)

    @property
    def current_id(self) -> str | None:
        """The id of the job under the cursor."""
        return self.board.ids[self.cursor] if self.count else None

    @property
    def current(self) -> RunnerJob | None:
        """The job under the cursor; None if there is none or it is not loaded yet."""
        return self.board.job(self.cursor) if self.count else None

    @property
    def selected(self) -> list[RunnerJob]:
        """The marked jobs, or the one under the cursor."""
        found = map(self.board.cached, self.marked) if self.marked else [self.current]
        return [job for job in found if job is not None]

    def draw(self, at: int, cells: int) -> StyledLine:
        """Return the line of a job."""
        self._drawn[at] = self._line(at, cells)
        return self._drawn[at]

    def _line(self, at: int, cells: int) -> StyledLine:
        job_id = self.board.ids[at]
        job = self.board.job(at)
        if job is None:
            return placeholder_line(job_id)
        marked, activity = self.all_selected or job_id in self.marked, self.board.activity(job_id)
        return job_line(job, activity, cells, self._session.clock(), marked=marked, without=self.hidden_columns)

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

    def show(self, board: SortedBoard) -> None:
        """Show another board from its newest job on, with nothing selected."""
        self.board = board
        self.cursor = 0
        self.new_above = 0
        self.marked.clear()
        self.all_selected = False
        self.recount()
        self.jump(0)

    def merge_page(self, request: PageRequest, page: JobPage) -> None:
        """Merge a page into the board and redraw; the visible jobs stay where they are."""
        top = self.scroll_offset.y
        newest = top == 0 and self.cursor == 0
        before = self.board.ids.copy()
        self.board.merge(request, page)
        if newest or len(before) <= top:
            self.recount()
            return
        rows = {job_id: row for row, job_id in enumerate(self.board.ids)}
        self.cursor, now_top = (self._row_of(before[row:], rows) for row in (self.cursor, top))
        if top:
            self.new_above += max(now_top - top, 0)
        self.recount()
        if top:
            self.jump(now_top)

    def _row_of(self, job_ids: list[str], rows: Mapping[str, int]) -> int:
        """Return the row of the first of these jobs; one that is gone leaves its row to the next one."""
        return next((rows[job_id] for job_id in job_ids if job_id in rows), max(self.count - 1, 0))

    def move(self, cursor: int) -> None:
        """Set the cursor; at the top there are no new rows above it."""
        super().move(cursor)
        if self.cursor == 0:
            self.new_above = 0

    def clear_selection(self) -> None:
        """Remove all marks."""
        self.marked.clear()
        self.all_selected = False
        self.refresh()
        self.post_message(self.Moved())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done; the help dims the rest."""
        if action == "act":
            job_action = JOB_ACTIONS[str(parameters[0])]
            if self.all_selected:
                return (bool(job_action.every) and self.number_for(job_action) != 0) or None
            return bool(applicable(job_action, self.selected)) or None
        if action == "range":
            return bool(self.marked) or None
        if action in {"browse", "why", "copy", "mark", "open", "export", "all"}:
            return self.count > 0 or None
        return True

    def number_for(self, action: JobAction) -> int | None:
        """Return how many of all jobs are in a state that an action can be done to; None if that is not known."""
        return None if self.counts is None else sum(self.counts.get(status, 0) for status in action.allowed)

    def action_act(self, verb: str) -> None:
        """Cancel, retry, approve or deny the selected jobs, after confirmation."""
        if self.all_selected:
            work = run_bulk_action(self._session, JOB_ACTIONS[verb], self.filter)
        else:
            work = run_action(self._session, JOB_ACTIONS[verb], self.selected)
        self._session.start(work, group="actions")

    def action_mark(self) -> None:
        """Mark or unmark the job under the cursor, and move to the next."""
        if self.count:
            job_id = self.board.ids[self.cursor]
            if job_id in self.marked:
                del self.marked[job_id]
            else:
                self.marked[job_id] = None
            self.move(self.cursor + 1)

    def action_all(self) -> None:
        """Select every job that matches tab and filter, or no longer."""
        self.all_selected = not self.all_selected
        self.refresh()
        self.post_message(self.Moved())

    def action_range(self) -> None:
        """Mark every job from the last marked one to the cursor."""
        last_marked = next(reversed(self.marked), "")
        if last_marked in self.board.ids:
            first, last = sorted((self.board.ids.index(last_marked), self.cursor))
            self.marked |= dict.fromkeys(self.board.ids[first : last + 1])
            self.refresh()
        self.post_message(self.Moved())

    def action_copy(self) -> None:
        """Copy the id under the cursor to the clipboard, through the terminal."""
        if self.current_id:
            self._session.copy(self.current_id)

    def action_browse(self) -> None:
        """Open the thread of the job under the cursor in the browser; of a job without one, copy the branch."""
        if self.current:
            self._session.start(self._session.follow(thread_url(self.current), self.current.branch), group="browse")

    def action_export(self) -> None:
        """Write the jobs of this list to a file."""
        self._session.start(export_jobs(self._session, self.board.query), group="export", exclusive=True)

    def action_why(self) -> None:
        """Show the decision behind the job under the cursor."""
        if self.current_id:
            self._session.open("why", self.current_id)


def selection_segments(jobs: JobList, total: int, order: str) -> list[BarSegment]:
    """Return what is selected, what is new above, how many of `total` jobs are listed, and in which order."""
    segments: list[BarSegment] = []
    if jobs.all_selected:
        known = {action: jobs.number_for(action) for action in (CANCEL, RETRY)}
        hints = [
            f"{action.verb[0]} {action.verb}{'' if number is None else f' {number:,}'}"
            for action, number in known.items()
            if number != 0
        ]
        number = sum(jobs.counts.values()) if jobs.counts is not None else jobs.count
        more = "+" if jobs.counts is None and jobs.board.more else ""
        segments.append((" · ".join([f"all {number:,}{more} selected", *hints]) + "   ", "accent", ""))
    elif jobs.marked:
        selected = jobs.selected
        hints = [
            f"{action.verb[0]} {action.verb} {len(fit)}"
            for action in (CANCEL, RETRY)
            if (fit := applicable(action, selected))
        ]
        if waiting := applicable(APPROVE, selected):
            hints.append(f"a/d {len(waiting)}")
        segments.append((" · ".join([f"{len(jobs.marked)} selected", *hints]) + "   ", "accent", ""))
    if jobs.new_above:
        segments.append((f"+{jobs.new_above} new   ", "green", "screen.press('home')"))
    listed = f"{jobs.count:,}{'+' if jobs.board.more else ''}"
    return [*segments, (f"{listed} of {total:,}   ↑{order} ", "dim", "screen.press('s')")]
