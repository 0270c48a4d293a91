"""The list of jobs with what can be done to those that are meant: marked, under the cursor, or all that fit."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import Binding, BindingType

from shared.api import JobPage
from shared.models import RunnerJob
from tui.client.http import DaemonClient, DaemonUnreachable, decode
from tui.screens.actions import APPROVE, CANCEL, JOB_ACTIONS, RETRY, applicable
from tui.screens.base import REFUSALS
from tui.widgets.bar import BarSegment
from tui.widgets.board import Board, PageRequest
from tui.widgets.job_list import JobList

if TYPE_CHECKING:
    from tui.app.app import StitcherApp

# merged from tui.screens.job_pages: Pages of jobs, asked for until everything that is looked at is true.

PACE = 0.25  # seconds between two questions for the same rows while events come in one after the other


class JobPageLoader:
    """Fills one list; tells when something `changed`, and what was `refused`.

    An answer for a board that the list no longer shows is dropped.
    """

    def __init__(
        self, daemon: DaemonClient, jobs: JobList, changed: Callable[[], None], refused: Callable[[Exception], None]
    ) -> None:
        self._daemon = daemon
        self._jobs = jobs
        self._changed = changed
        self._refused = refused
        self._asked_at: dict[str | None, float] = {}
        self._busy = False

    def hurry(self) -> None:
        """Ask at once, whatever was asked before."""
        self._asked_at.clear()

    def look(self) -> None:
        """Ask while anything that is looked at is not true."""
        if not self._busy:
            self._busy = True
            self._jobs.run_worker(self._fill(), group="jobs")

    async def _fill(self) -> None:
        board = self._jobs.board
        try:
            while board is self._jobs.board and (ask := board.wish(*self._jobs.visible_rows)):
                await self._wait(ask)
                page = await asyncio.to_thread(_page, self._daemon, board, ask)
                if board is self._jobs.board:
                    self._jobs.merge_page(ask, page)
                    self._changed()
        except DaemonUnreachable:
            return  # it is asked again when the daemon is back
        except REFUSALS as said:
            if board is self._jobs.board:
                board.give_up()
                self._refused(said)
        finally:
            self._busy = False
        if board is not self._jobs.board:
            self.look()

    async def _wait(self, ask: PageRequest) -> None:
        await asyncio.sleep(self._asked_at.get(ask.before, 0.0) + PACE - monotonic())
        self._asked_at = {ask.before: monotonic()} if len(self._asked_at) > 9 else self._asked_at
        self._asked_at[ask.before] = monotonic()


def _page(daemon: DaemonClient, board: Board, ask: PageRequest) -> JobPage:
    paging = [("limit", str(ask.limit)), *([("before", ask.before)] if ask.before else [])]
    return decode(daemon.get("/runner-jobs", [*board.query, *paging]), JobPage)


class Jobs(JobList):
    """The list as it is steered; `meaning` is the filter that all its jobs fit."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "mark"),
        Binding("v", "range", "mark from the last mark to here", show=False),
        Binding("A", "all", "mark all that fit", show=False),
        Binding("c", "act('cancel')", "cancel"),
        Binding("r", "act('retry')", "retry"),
        Binding("a", "act('approve')", "approve"),
        Binding("d", "act('deny')", "deny"),  # where nothing waits, the key is the app's: deliveries
        Binding("w", "why", "why"),
        Binding("y", "copy", "copy id", show=False),
        Binding("e", "export", "export as JSON lines", show=False),
    ]
    meaning = ""
    all_marked = False  # also those that are not here

    @property
    def house(self) -> "StitcherApp":
        """The app, by its own type."""
        return cast("StitcherApp", self.app)

    @property
    def chosen(self) -> list[RunnerJob]:
        """The marked jobs, or the one under the cursor."""
        found = map(self.board.known, self.marked) if self.marked else [self.current]
        return [job for job in found if job is not None]

    def show(self, board: Board) -> None:
        """Show another board, with nothing marked."""
        self.all_marked = False
        super().show(board)

    def clear_marks(self) -> None:
        """Mark nothing."""
        self.all_marked = False
        super().clear_marks()
        self.post_message(self.Moved())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done."""
        if action == "act":
            act = JOB_ACTIONS[str(parameters[0])]
            return act.in_bulk if self.all_marked else bool(applicable(act, self.chosen))
        if action == "range":
            return bool(self.marked)
        if action in {"why", "copy", "mark", "open", "export", "all"}:
            return self.count > 0
        return True

    def action_act(self, verb: str) -> None:
        """Cancel, retry, approve or deny what is meant, after a question."""
        if self.all_marked:
            self.house.steer_all(JOB_ACTIONS[verb], self.meaning)
        else:
            self.house.steer(JOB_ACTIONS[verb], applicable(JOB_ACTIONS[verb], self.chosen))

    def action_all(self) -> None:
        """Mark every job that fits tab and filter, or no longer."""
        self.all_marked = not self.all_marked
        self.post_message(self.Moved())

    def action_range(self) -> None:
        """Mark all from the last mark to the cursor."""
        self.mark_range()
        self.post_message(self.Moved())

    def action_copy(self) -> None:
        """Put the id under the cursor on the clipboard, through the terminal."""
        if self.current_id:
            self.house.copy(self.current_id)

    def action_export(self) -> None:
        """Write the jobs of this list to a file."""
        self.house.export_jobs(self.board.query)

    def action_why(self) -> None:
        """Show the decision behind the job under the cursor."""
        if self.current_id:
            self.house.show_why(self.current_id)


ALL_SELECTED = "all that fit selected · c cancel · r retry   "


def selection_words(jobs: Jobs, everything: int) -> list[BarSegment]:
    """Return what is selected, what is new above, and how many of `everything` are shown."""
    words: list[BarSegment] = []
    if jobs.all_marked:
        words.append((ALL_SELECTED, "accent", ""))
    elif jobs.marked:
        chosen = jobs.chosen
        acts = [f"{act.verb[0]} {act.verb} {len(fit)}" for act in (CANCEL, RETRY) if (fit := applicable(act, chosen))]
        if waiting := applicable(APPROVE, chosen):
            acts.append(f"a/d {len(waiting)}")
        words.append((" · ".join([f"{len(jobs.marked)} selected", *acts]) + "   ", "accent", ""))
    if jobs.new_above:
        words.append((f"+{jobs.new_above} new   ", "green", "screen.press('home')"))
    known = f"{jobs.count:,}{'+' if jobs.board.more else ''}"
    return [*words, (f"{known} of {everything:,}   ↑newest ", "dim", "screen.press('home')")]
