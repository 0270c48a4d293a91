"""What stands over the list of jobs: tabs, filter, what is wrong with it, and the heading."""

from collections.abc import Callable, Iterable, Sequence

from textual.app import ComposeResult
from textual.containers import Vertical

from tui.client import Refused
from tui.plain import plain, width
from tui.screens import jobs_words
from tui.screens.jobs_list import Jobs
from tui.screens.narrowing import Narrowing, Tab, tab_words
from tui.widgets.bar import Bar, Word
from tui.widgets.filter_bar import FilterBar
from tui.widgets.job_row import heading


class JobsHead(Vertical):
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

    def draw(self, jobs: Jobs, narrowing: Narrowing, tabs: Sequence[Tab], counts: dict[str, int]) -> None:
        """Draw all of it; `counts` are of all jobs."""
        tiny, typing = self.screen.has_class("-tiny"), self.query_one(FilterBar).display
        save: list[Word] = [("S save as view ", "dim", "screen.press('S')")] if narrowing.filter else []
        cells = self.size.width - sum(width(text) for text, _, _ in save)
        self._bar("tabs", tab_words(tabs, narrowing.number, counts, cells), save).display = (
            not tiny or narrowing.number > 1
        )
        right = jobs_words.list_words(jobs, sum(counts.values()))
        self._bar("filter", jobs_words.filter_words(narrowing), right).display = not typing and (
            not tiny or bool(narrowing.filter or jobs.marked or jobs.above)
        )
        self._bar("heading", [(text, style, "") for text, style in heading(jobs.room, jobs.without)])

    def fault(self, said: Exception | None) -> None:
        """Show what is wrong with the filter under its place, or with None nothing."""
        words: list[Word] = []
        if isinstance(said, Refused):
            words = jobs_words.fault_words(said)
        elif said is not None:
            words = [(f" ▲ {plain(str(said))}", "red", "")]
        self._bar("fault", words).display = bool(words)

    def _bar(self, name: str, left: list[Word], right: Sequence[Word] = ()) -> Bar:
        bar = self.query_one(f"#{name}", Bar)
        bar.show(left, right)
        return bar
