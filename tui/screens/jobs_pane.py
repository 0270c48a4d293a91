"""The list of jobs with the query that selects them: a tab, a filter, a saved view."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import ClassVar

from msgspec import structs
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.timer import Timer

from shared.filters import FilterError, parse_filter
from tui.client import api
from tui.client.http import DaemonUnreachable
from tui.client.views import MAX_TABS, ViewError, expand_views
from tui.screens.job_query import TABS, WAITING_TAB, JobQuery, JobQueryBar, all_tabs, delete_view, read_views, save_view
from tui.screens.jobs_list import JobList
from tui.screens.session import DAEMON_ERRORS, Session
from tui.widgets.bar import Bar
from tui.widgets.board import PageRequest
from tui.widgets.inputs import FilterBar, filter_values
from tui.widgets.job_order import ORDERS, SortedBoard
from tui.widgets.job_row import IDLE_COLUMNS

LAST_TAB = len(TABS) + MAX_TABS
TYPING_SECONDS = 0.2  # without a key, after which the list is narrowed by what was typed
REPEAT_SECONDS = 0.25  # between two requests for the same rows while events follow each other


class JobsPane(Vertical):
    """Query, list, and an explanation if the list is empty."""

    class Redrawn(Message):
        """What surrounds the list was redrawn: other keys may work now."""

    DEFAULT_CSS = "JobsPane #empty { display: none; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "filter", priority=True),
        Binding("s", "sort", "sort", show=False),
        Binding("S", "save", "save as view", show=False),
        Binding("X", "delete", "delete this view", show=False),
        Binding("escape", "clear", "clear", show=False),
        *[Binding(str(at), f"tab({at})", tab.name.lower(), show=False) for at, tab in enumerate(TABS, 1)],
        *[Binding(str(at), f"tab({at})", f"view {at}", show=False) for at in range(len(TABS) + 1, LAST_TAB + 1)],
    ]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.job_query = JobQuery()
        self._session = session
        self._order = ORDERS[0]
        self._last_good = JobQuery()  # what the daemon last answered
        self._before_typing = JobQuery()
        self._views: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._narrowing: Timer | None = None

    def compose(self) -> ComposeResult:
        """Stack query and list."""
        yield JobQueryBar(lambda: filter_values(self.jobs.board, self._views))
        yield JobList(self._session, id="jobs")
        yield Bar(id="empty")

    @property
    def jobs(self) -> JobList:
        """The list."""
        return self.query_one(JobList)

    @property
    def _query_bar(self) -> JobQueryBar:
        return self.query_one(JobQueryBar)

    def on_mount(self) -> None:
        """Begin with all jobs."""
        self._loader = JobPageLoader(self._session, self.jobs, self.redraw, self._show_error)
        self._views = read_views(self._session)
        self.jobs.focus()

    def load(self) -> None:
        """Request what is visible and out of date."""
        if self._session.connection.live:
            self._loader.load()

    def redraw(self) -> None:
        """Draw everything around the list."""
        if self.jobs.board.loaded:
            self._last_good = self.job_query
        self._counts = self.jobs.board.counts or self._counts
        self.jobs.counts = self.job_query.numbers(self._counts)
        self._query_bar.draw(self.jobs, self.job_query, all_tabs(self._views), self._counts, self._order.name)
        empty = self.query_one("#empty", Bar)
        empty.display = self.jobs.board.loaded and not self.jobs.count
        if empty.display:
            empty.show([("  " + self.job_query.why_empty(self._counts), "dim", "")])
        self.post_message(self.Redrawn())

    def _show_error(self, error: Exception) -> None:
        """Show why the daemon refused the query, and the jobs of the last one that it did not refuse."""
        rejected = self.job_query.filter
        if self.job_query != self._last_good:
            self.show(self._last_good)
        self._query_bar.show_error(error, rejected)
        self.redraw()

    def new_board(self) -> SortedBoard:
        """Return an empty board for the query, in the order that was selected."""
        return SortedBoard(self.job_query.parameters, self._order)

    def show(self, query: JobQuery) -> None:
        """Show the jobs of another query."""
        self.job_query = query
        self._query_bar.show_error(None)
        self.jobs.hidden_columns = IDLE_COLUMNS if query.number == WAITING_TAB else frozenset()
        self.jobs.show(self.new_board())
        self.jobs.filter = query.text
        self._loader.reset()
        self.load()
        self.redraw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done; the help dims the rest, but for keys that then do something else."""
        match action:
            case "filter":
                return not self.query_one(FilterBar).has_focus
            case "save":
                return bool(self.job_query.filter) or None
            case "delete":
                return bool(self.job_query.tab.filter) or None
            case "tab":
                return int(str(parameters[0])) <= len(all_tabs(self._views))
            case "clear":
                selected = bool(self.jobs.marked or self.jobs.all_selected)
                return selected or bool(self._query_bar.rejected) or self.job_query != JobQuery()
        return True

    def action_tab(self, number: int) -> None:
        """Show the jobs of another tab."""
        tab = all_tabs(self._views)[number - 1]
        self.show(structs.replace(self.job_query, tab=tab, number=number))

    def action_clear(self) -> None:
        """Clear the selection or, if there is none, filter and tab."""
        if self.jobs.marked or self.jobs.all_selected:
            self.jobs.clear_selection()
        else:
            self.show(JobQuery())

    def action_sort(self) -> None:
        """Show the jobs in the next order."""
        self._order = ORDERS[(ORDERS.index(self._order) + 1) % len(ORDERS)]
        self.show(self.job_query)

    def action_filter(self) -> None:
        """Type a filter; the list narrows meanwhile."""
        self._before_typing = self.job_query
        self.query_one(FilterBar).open(self._query_bar.rejected or self.job_query.filter)
        self.redraw()

    @on(FilterBar.Changed)
    def filter_changed(self) -> None:
        """Narrow the list once there is a pause in the typing."""
        if self._narrowing is not None:
            self._narrowing.stop()
        self._narrowing = self.set_timer(TYPING_SECONDS, self._narrow)

    def _narrow(self) -> None:
        field = self.query_one(FilterBar)
        if field.display:
            self._show_filter(field.value)

    @on(FilterBar.Submitted)
    def filter_submitted(self, message: FilterBar.Submitted) -> None:
        """Show the jobs that match."""
        self._close_filter()
        self._show_filter(message.value)

    @on(FilterBar.Left)
    def filter_left(self) -> None:
        """Keep the filter as it was."""
        self._close_filter()
        self._show_filter(self._before_typing.filter)

    def _close_filter(self) -> None:
        self.query_one(FilterBar).display = False
        self.screen.set_focus(self.jobs)

    def _show_filter(self, text: str) -> None:
        """Show the jobs that match a text or, if it has a fault, what that is; the list then stays as it is."""
        view = f"{self.job_query.tab.filter} " if self.job_query.tab.filter else ""
        try:
            expanded = expand_views(text.strip(), self._views)
            parse_filter(expanded)
        except (ViewError, FilterError) as error:
            self._query_bar.show_error(error, text.strip(), len(view))
            self.redraw()
            return
        wanted = structs.replace(self.job_query, filter=expanded)
        if wanted != self.job_query:
            self.show(wanted)
        else:
            self._query_bar.show_error(None)
            self.redraw()

    @work(group="views")
    async def action_save(self) -> None:
        """Save tab and filter as a view."""
        self._show_views(await save_view(self._session, self.job_query.text))

    @work(group="views")
    async def action_delete(self) -> None:
        """Delete the view of this tab."""
        self._show_views(await delete_view(self._session, self.job_query.tab.name.removeprefix("@")))

    def _show_views(self, views: dict[str, str] | None) -> None:
        """Show the tabs of changed views, and the jobs of a new one; None changes nothing."""
        if views is None:
            return
        number = len(TABS) + len(views) if len(views) > len(self._views) else 1
        self._views = views
        self.show(JobQuery(all_tabs(views)[number - 1], number))


class JobPageLoader:
    """Requests pages of jobs until every visible row is up to date.

    `changed` is called after each page, `failed` if the daemon refuses the query. A page that arrives after the list
    was given another board is dropped.
    """

    def __init__(
        self, session: Session, jobs: JobList, changed: Callable[[], None], failed: Callable[[Exception], None]
    ) -> None:
        self._session = session
        self._jobs = jobs
        self._changed = changed
        self._failed = failed
        self._requested_at: dict[tuple[object, ...], float] = {}
        self._busy = False

    def reset(self) -> None:
        """Make the next request at once, whatever was requested before."""
        self._requested_at.clear()

    def load(self) -> None:
        """Request pages while a visible row is out of date."""
        if not self._busy:
            self._busy = True
            self._jobs.run_worker(self._load(), group="jobs")

    async def _load(self) -> None:
        board = self._jobs.board
        try:
            while board is self._jobs.board and (request := board.next_request(*self._jobs.visible_rows)):
                await self._pause(request)
                page = await self._session.call(
                    api.list_jobs, request.query, limit=request.limit, before=request.before
                )
                if board is self._jobs.board:
                    self._jobs.merge_page(request, page.value)
                    self._changed()
        except DaemonUnreachable:
            return  # requested again once the daemon is back
        except DAEMON_ERRORS as error:
            if board is self._jobs.board:
                board.give_up()
                self._failed(error)
        finally:
            self._busy = False
        if board is not self._jobs.board:
            self.load()

    async def _pause(self, request: PageRequest) -> None:
        """Wait until the same rows may be requested again."""
        rows = request.query, request.before
        await asyncio.sleep(self._requested_at.get(rows, 0.0) + REPEAT_SECONDS - monotonic())
        if len(self._requested_at) > 9:
            self._requested_at.clear()
        self._requested_at[rows] = monotonic()
