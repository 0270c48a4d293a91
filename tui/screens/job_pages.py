"""Pages of jobs, asked for until everything that is looked at is true."""

import asyncio
from collections.abc import Callable
from time import monotonic

from shared.models import JobPage
from tui.board import Ask, Board
from tui.client import Daemon, Unreachable, decode
from tui.screens.room import REFUSALS
from tui.widgets.job_list import JobList

PACE = 0.25  # seconds between two questions for the same rows while events come in one after the other


class JobPages:
    """Fills one list; tells when something `changed`, and what was `refused`.

    An answer for a board that the list no longer shows is dropped.
    """

    def __init__(
        self, daemon: Daemon, jobs: JobList, changed: Callable[[], None], refused: Callable[[Exception], None]
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
            while board is self._jobs.board and (ask := board.wish(*self._jobs.window)):
                await self._wait(ask)
                page = await asyncio.to_thread(_page, self._daemon, board, ask)
                if board is self._jobs.board:
                    self._jobs.answered(ask, page)
                    self._changed()
        except Unreachable:
            return  # it is asked again when the daemon is back
        except REFUSALS as said:
            if board is self._jobs.board:
                board.give_up()
                self._refused(said)
        finally:
            self._busy = False
        if board is not self._jobs.board:
            self.look()

    async def _wait(self, ask: Ask) -> None:
        await asyncio.sleep(self._asked_at.get(ask.before, 0.0) + PACE - monotonic())
        self._asked_at = {ask.before: monotonic()} if len(self._asked_at) > 9 else self._asked_at
        self._asked_at[ask.before] = monotonic()


def _page(daemon: Daemon, board: Board, ask: Ask) -> JobPage:
    paging = [("limit", str(ask.limit)), *([("before", ask.before)] if ask.before else [])]
    return decode(daemon.get("/runner-jobs", [*board.query, *paging]), JobPage)
