"""What a list of jobs is narrowed to: a tab and a filter, as the daemon is asked and as people read it."""

from collections.abc import Callable, Iterable, Sequence

import msgspec
from msgspec import Struct
from textual.app import ComposeResult
from textual.containers import Vertical

from shared.models import Status
from tui.client.http import ApiError
from tui.screens import jobs_list
from tui.screens.jobs_list import Jobs
from tui.text.jobs import counted
from tui.text.plain import plain, width
from tui.widgets.bar import Bar, BarSegment
from tui.widgets.inputs import FilterBar
from tui.widgets.job_row import job_heading

# merged from tui.screens.jobs_head: What stands over the list of jobs: tabs, filter, what is wrong with it,
# and the heading.
# merged from tui.screens.jobs_words: The line of the filter over the list of jobs, and what is wrong with it.


class JobTab(Struct, frozen=True):
    """A name, and what it shows: jobs in some states (none is all), or those that a filter means."""

    name: str
    statuses: tuple[Status, ...] = ()
    filter: str = ""


TABS = (
    JobTab("All"),
    JobTab("Running", (Status.RUNNING, Status.QUEUED)),
    JobTab("Waiting for you", (Status.PENDING,)),
    JobTab("Failed", (Status.FAILED,)),
)
WAITING = 3


def all_tabs(views: dict[str, str], most: int) -> tuple[JobTab, ...]:
    """Return the tabs that there are, the first of somebody's own views behind them."""
    return (*TABS, *(JobTab(f"@{name}", filter=text) for name, text in list(views.items())[:most]))


class JobQuery(Struct, frozen=True):
    """A tab, its number from 1, and the text of a filter."""

    tab: JobTab = TABS[0]
    number: int = 1
    filter: str = ""

    @property
    def query(self) -> list[tuple[str, str]]:
        """What the daemon is asked."""
        query = [("status", status.value) for status in self.tab.statuses]
        words = " ".join(filter(None, (self.tab.filter, self.filter)))
        return [*query, ("q", words)] if words else query

    @property
    def text(self) -> str:
        """The same as one filter."""
        states = ",".join(status.lower() for status in self.tab.statuses)
        return " ".join(filter(None, (f"state:{states}" * bool(states), self.tab.filter, self.filter)))

    def why_empty(self, counts: dict[str, int]) -> str:
        """Return why there is nothing to see."""
        everything = sum(counts.values())
        if not everything:
            return "no jobs yet: a webhook starts them, or + (dispatch) does; stitcher demo shows how it goes"
        if self.number == WAITING and not self.filter:
            return "nothing waits for you: jobs that need an approval come here"
        what = " and ".join(filter(None, ("the tab" * (self.number > 1), "the filter" * bool(self.filter))))
        return f"{what} hides all {counted(everything, 'job')}; esc shows them"


def tab_words(shown: Sequence[JobTab], here: int, counts: dict[str, int], cells: int) -> list[BarSegment]:
    """Return the tabs with how many jobs each has, where that is known; without room, some by their numbers alone."""
    words: list[BarSegment] = []
    for named in ({*range(1, len(shown) + 1)}, {*range(1, len(TABS) + 1), here}, {here}):
        words = _tab_words(shown, here, counts, named)
        if sum(width(text) for text, _, _ in words) <= cells:
            break
    return words


def _tab_words(shown: Sequence[JobTab], here: int, counts: dict[str, int], named: set[int]) -> list[BarSegment]:
    words: list[BarSegment] = [(" ", "", "")]
    for at, tab in enumerate(shown, 1):
        current, action = at == here, f"screen.press('{at}')"
        number = sum(counts.get(status.lower(), 0) for status in tab.statuses or Status)
        words += [
            (f" {at} ", "accent" if current else "dim", action),
            (plain(tab.name) if at in named else "", "bold" if current else "", action),
            (f" {number:,}  " if counts and not tab.filter else "  ", "" if current else "dim", action),
        ]
    return words


class _Fault(msgspec.Struct):
    detail: str = ""
    column: int | None = None


def filter_words(narrowing: JobQuery) -> list[BarSegment]:
    """Return the filter that there is; that of a view stands in front, as the daemon counts its columns."""
    words: list[BarSegment] = [(" / ", "accent", "screen.press('slash')")]
    if narrowing.tab.filter:
        words.append((f"{plain(narrowing.tab.filter)} ", "dim", ""))
    said = plain(narrowing.filter) or ("" if narrowing.tab.filter else "no filter")
    return [*words, (said, "" if narrowing.filter else "dim", "screen.press('slash')")]


def fault_words(refused: ApiError) -> list[BarSegment]:
    """Return what is wrong with a filter, under the place where it is wrong."""
    fault = msgspec.json.decode(refused.document, type=_Fault)
    offset = len(" / ") + (fault.column or 1) - 1
    return [(" " * offset + "▲ " + plain(fault.detail), "red", "")]


class JobQueryBar(Vertical):
    """Four lines, of which one is typed in; on the smallest terminals only those that say something."""

    DEFAULT_CSS = """
    JobsHead {
        height: auto;
        #fault { display: none; }
    }
    """

    def __init__(self, values: Callable[[], dict[str, Iterable[str]]]) -> None:
        super().__init__()
        self._values = values

    def compose(self) -> ComposeResult:
        """Put the lines under each other."""
        yield Bar(id="tabs")
        yield Bar(id="filter")
        yield FilterBar(self._values, id="typing")
        yield Bar(id="fault")
        yield Bar(id="heading")

    def draw(self, jobs: Jobs, narrowing: JobQuery, tabs: Sequence[JobTab], counts: dict[str, int]) -> None:
        """Draw all of it; `counts` are of all jobs."""
        tiny, typing = self.screen.has_class("-tiny"), self.query_one(FilterBar).display
        save: list[BarSegment] = [("S save as view ", "dim", "screen.press('S')")] if narrowing.filter else []
        cells = self.size.width - sum(width(text) for text, _, _ in save)
        self._bar("tabs", tab_words(tabs, narrowing.number, counts, cells), save).display = (
            not tiny or narrowing.number > 1
        )
        right = jobs_list.selection_words(jobs, sum(counts.values()))
        self._bar("filter", filter_words(narrowing), right).display = not typing and (
            not tiny or bool(narrowing.filter or jobs.marked or jobs.new_above)
        )
        self._bar("heading", [(text, style, "") for text, style in job_heading(jobs.line_width, jobs.hidden_columns)])

    def fault(self, said: Exception | None) -> None:
        """Show what is wrong with the filter under its place, or with None nothing."""
        words: list[BarSegment] = []
        if isinstance(said, ApiError):
            words = fault_words(said)
        elif said is not None:
            words = [(f" ▲ {plain(str(said))}", "red", "")]
        self._bar("fault", words).display = bool(words)

    def _bar(self, name: str, left: list[BarSegment], right: Sequence[BarSegment] = ()) -> Bar:
        bar = self.query_one(f"#{name}", Bar)
        bar.show(left, right)
        return bar
