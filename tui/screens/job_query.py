"""Which jobs a list shows: tabs, filters and saved views, and the lines above the list that tell it."""

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct
from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Vertical

from shared.filters import FilterError
from shared.models import Status
from tui.client.http import ApiError
from tui.client.views import MAX_TABS, VIEW_NAME, ViewError, load_views, save_views
from tui.screens.dialogs import ConfirmDialog, InputDialog
from tui.screens.jobs_list import JobList, selection_segments
from tui.screens.session import Session
from tui.text.jobs import counted
from tui.text.plain import plain, single_line
from tui.widgets.bar import Bar, BarSegment
from tui.widgets.inputs import FilterBar
from tui.widgets.job_row import job_heading

WAITING_TAB = 3


class JobTab(Struct, frozen=True):
    """A name for some of the jobs: those in `statuses` (all, if there are none) that match `filter`."""

    name: str
    statuses: tuple[Status, ...] = ()
    filter: str = ""


TABS = (
    JobTab("All"),
    JobTab("Running", (Status.RUNNING,)),
    JobTab("Waiting for you", (Status.PENDING,)),
    JobTab("Failed", (Status.FAILED,)),
)


def all_tabs(views: dict[str, str]) -> tuple[JobTab, ...]:
    """Return the built-in tabs and, behind them, those of the first saved views."""
    return (*TABS, *(JobTab(f"@{name}", filter=text) for name, text in list(views.items())[:MAX_TABS]))


class JobQuery(Struct, frozen=True):
    """A tab, its number from 1, and a filter typed by the user."""

    tab: JobTab = TABS[0]
    number: int = 1
    filter: str = ""

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """The query as parameters of a request."""
        statuses = [("status", status.value) for status in self.tab.statuses]
        text = " ".join(filter(None, (self.tab.filter, self.filter)))
        return [*statuses, ("q", text)] if text else statuses

    @property
    def text(self) -> str:
        """The query as one filter."""
        states = ",".join(status.lower() for status in self.tab.statuses)
        return " ".join(filter(None, (f"state:{states}" * bool(states), self.tab.filter, self.filter)))

    def numbers(self, counts: dict[str, int]) -> dict[Status, int] | None:
        """Return how many jobs match, by status, of the `counts` of all jobs; None for a query with a filter."""
        if self.filter or self.tab.filter or not counts:
            return None
        return {status: counts.get(status.lower(), 0) for status in self.tab.statuses or Status}

    def why_empty(self, counts: dict[str, int]) -> str:
        """Return why no jobs are listed; `counts` are the numbers of all jobs by status."""
        total = sum(counts.values())
        if not total:
            return "no jobs yet: a webhook starts them, or + (dispatch) does; stitcher demo shows how it works"
        if self.number == WAITING_TAB and not self.filter:
            return "nothing waits for you: jobs that need an approval come here"
        what = " and ".join(filter(None, ("the tab" * (self.number > 1), "the filter" * bool(self.filter))))
        return f"{what} hides all {counted(total, 'job')}; esc shows them"


class JobQueryBar(Vertical):
    """Tabs, filter, what is wrong with the filter, and the heading; small terminals show only what says something."""

    DEFAULT_CSS = """
    JobQueryBar {
        height: auto;
        #fault { display: none; }
    }
    """

    def __init__(self, values: Callable[[], dict[str, Iterable[str]]]) -> None:
        super().__init__()
        self._values = values
        self.rejected = ""  # a filter with a fault, which is shown; the list is still that of the last one without

    def compose(self) -> ComposeResult:
        """Stack the lines."""
        yield Bar(id="tabs")
        yield Bar(id="filter")
        yield FilterBar(self._values, id="typing")
        yield Bar(id="fault")
        yield Bar(id="heading")

    def draw(self, jobs: JobList, query: JobQuery, tabs: Sequence[JobTab], counts: dict[str, int], order: str) -> None:
        """Draw all lines; `counts` are the numbers of all jobs by status. A filter with a fault is shown instead."""
        tiny, typing = self.screen.has_class("-tiny"), self.query_one(FilterBar).display
        save: list[BarSegment] = [("S save as view ", "dim", "screen.press('S')")] if query.filter else []
        cells = self.size.width - sum(cell_len(text) for text, _, _ in save)
        tab_bar = self._show("tabs", tab_segments(tabs, query.number, counts, cells), save)
        tab_bar.display = not tiny or query.number > 1
        filter_bar = self._show(
            "filter", filter_segments(query, self.rejected), selection_segments(jobs, sum(counts.values()), order)
        )
        filter_bar.display = not typing and (
            not tiny or bool(query.filter or self.rejected or jobs.marked or jobs.new_above)
        )
        self._show("heading", [(text, style, "") for text, style in job_heading(jobs.line_width, jobs.hidden_columns)])

    def show_error(self, error: Exception | None, rejected: str = "", before: int = 0) -> None:
        """Show what is wrong with a filter, below the place if it is known; None hides it.

        `before` is the number of characters of a view's filter, which are shown first.
        """
        self.rejected = rejected
        segments: list[BarSegment] = []
        if isinstance(error, ApiError):
            segments = fault_segments(error.problem.column or 1, error.problem.detail)
        elif isinstance(error, FilterError):
            segments = fault_segments(before + error.column, str(error))
        elif error is not None:
            segments = [(f" ▲ {single_line(str(error))}", "red", "")]
        self._show("fault", segments).display = bool(segments)

    def _show(self, name: str, left: list[BarSegment], right: Sequence[BarSegment] = ()) -> Bar:
        bar = self.query_one(f"#{name}", Bar)
        bar.show(left, right)
        return bar


def tab_segments(tabs: Sequence[JobTab], current: int, counts: dict[str, int], cells: int) -> list[BarSegment]:
    """Return the tabs with their numbers of jobs, as far as known; without space, some by their keys alone."""
    segments: list[BarSegment] = []
    for named in ({*range(1, len(tabs) + 1)}, {*range(1, len(TABS) + 1), current}, {current}):
        segments = _tab_segments(tabs, current, counts, named)
        if sum(cell_len(text) for text, _, _ in segments) <= cells:
            break
    return segments


def _tab_segments(tabs: Sequence[JobTab], current: int, counts: dict[str, int], named: set[int]) -> list[BarSegment]:
    segments: list[BarSegment] = [(" ", "", "")]
    for at, tab in enumerate(tabs, 1):
        here, press = at == current, f"screen.press('{at}')"
        number = sum(counts.get(status.lower(), 0) for status in tab.statuses or Status)
        segments += [
            (f" {at} ", "accent" if here else "dim", press),
            (plain(tab.name) if at in named else "", "bold" if here else "", press),
            (f" {number:,}  " if counts and not tab.filter else "  ", "" if here else "dim", press),
        ]
    return segments


def filter_segments(query: JobQuery, rejected: str) -> list[BarSegment]:
    """Return the filter, or the `rejected` one; that of a view first, since columns are counted over both."""
    segments: list[BarSegment] = [(" / ", "accent", "screen.press('slash')")]
    if query.tab.filter:
        segments.append((f"{plain(query.tab.filter)} ", "dim", ""))
    text = plain(rejected or query.filter) or ("" if query.tab.filter else "no filter")
    return [*segments, (text, "red" if rejected else "" if query.filter else "dim", "screen.press('slash')")]


def fault_segments(column: int, message: str) -> list[BarSegment]:
    """Return what is wrong with a filter, indented to the column, from 1, where it is wrong."""
    return [(" " * (len(" / ") + column - 1) + "▲ " + plain(message), "red", "")]


def read_views(session: Session) -> dict[str, str]:
    """Return the saved views; if their file cannot be read, notify the user and return none."""
    try:
        return load_views(session.config)
    except ViewError as error:
        session.notify(str(error), error=True)
        return {}


async def save_view(session: Session, text: str) -> dict[str, str] | None:
    """Ask for a name and save a filter under it; return all views, or None if it was not saved."""
    lines = [
        [("filter  ", "dim"), (text, "accent")],
        [],
        [("It becomes a tab, and @name stands for it in every filter.", "dim")],
    ]
    name = await session.ask(InputDialog("Save this as a view?", lines, label="a name", form=True))
    if name is None:
        return None
    name = name.removeprefix("@")
    if not VIEW_NAME.fullmatch(name):
        session.notify(f"{name} is not a name for a view: small letters, digits, - and _, at most 20", error=True)
        return None
    views = read_views(session)
    if name not in views and len(views) >= MAX_TABS:
        session.notify(f"there are {MAX_TABS} views already: delete one first, with X on its tab", error=True)
        return None
    return _write_views(session, {**views, name: text})


async def delete_view(session: Session, name: str) -> dict[str, str] | None:
    """Delete a view, after confirmation; return those that are left, or None if it was not deleted."""
    if not await session.ask(ConfirmDialog(f"Delete the view @{name}?", [[("Its jobs stay as they are.", "dim")]])):
        return None
    return _write_views(session, {other: text for other, text in read_views(session).items() if other != name})


def _write_views(session: Session, views: dict[str, str]) -> dict[str, str] | None:
    try:
        save_views(session.config, views)
    except OSError as error:
        session.notify(f"the views cannot be saved: {error}", error=True)
        return None
    return views
