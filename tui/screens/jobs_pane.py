"""The list of jobs as it is narrowed: by a tab, by a filter that is typed, by a view with a name."""

from typing import TYPE_CHECKING, ClassVar, cast

from msgspec import structs
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message

from tui.board import Board
from tui.screens import naming
from tui.screens.job_pages import JobPages
from tui.screens.jobs_head import JobsHead
from tui.screens.jobs_list import Jobs
from tui.screens.narrowing import TABS, WAITING, Narrowing, tabs
from tui.views import MOST, ViewError, expanded
from tui.widgets.bar import Bar
from tui.widgets.filter_bar import FilterBar, values_of
from tui.widgets.job_row import IDLE

if TYPE_CHECKING:
    from tui.app import StitcherApp

LAST = len(TABS) + MOST


class JobsPane(Vertical):
    """Head, list, and a word where the list is empty."""

    class Drawn(Message):
        """What stands around the list was drawn anew: other keys may be legal."""

    DEFAULT_CSS = "JobsPane #empty { display: none; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "filter", priority=True),
        Binding("S", "save", "save as view", show=False),
        Binding("X", "forget", "forget this view", show=False),
        Binding("escape", "clear", "clear", show=False),
        *[Binding(str(at), f"tab({at})", tab.name.lower(), show=False) for at, tab in enumerate(TABS, 1)],
        *[Binding(str(at), f"tab({at})", f"view {at}", show=False) for at in range(len(TABS) + 1, LAST + 1)],
    ]

    def __init__(self) -> None:
        super().__init__()
        self.narrowing = Narrowing()
        self._views: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def compose(self) -> ComposeResult:
        """Put head and list under each other."""
        yield JobsHead(lambda: values_of(self.jobs.board, self._views))
        yield Jobs(Board(), self.house.clock, id="jobs")
        yield Bar(id="empty")

    @property
    def house(self) -> "StitcherApp":
        """The app, by its own type."""
        return cast("StitcherApp", self.app)

    @property
    def jobs(self) -> Jobs:
        """The list."""
        return self.query_one(Jobs)

    @property
    def head(self) -> JobsHead:
        """What stands over it."""
        return self.query_one(JobsHead)

    def on_mount(self) -> None:
        """Begin with all jobs."""
        self._pages = JobPages(self.house.daemon, self.jobs, self.redraw, self._refused)
        self._views = naming.known(self.house)
        self.jobs.focus()

    def look(self) -> None:
        """Ask for what is looked at and not true."""
        if self.house.link.live:
            self._pages.look()

    def redraw(self) -> None:
        """Draw everything around the list."""
        self._counts = self.jobs.board.counts or self._counts
        self.head.draw(self.jobs, self.narrowing, tabs(self._views, MOST), self._counts)
        empty = self.query_one("#empty", Bar)
        empty.display = self.jobs.board.loaded and not self.jobs.count
        if empty.display:
            empty.show([("  " + self.narrowing.why_empty(self._counts), "dim", "")])
        self.post_message(self.Drawn())

    def _refused(self, said: Exception) -> None:
        """Show what the daemon does not understand."""
        self.head.fault(said)
        self.redraw()

    def narrow(self, narrowing: Narrowing) -> None:
        """Show other jobs."""
        self.narrowing = narrowing
        self.head.fault(None)
        self.jobs.without = IDLE if narrowing.number == WAITING else frozenset()
        self.jobs.show(Board(narrowing.query))
        self.jobs.meaning = narrowing.text
        self._pages.hurry()
        self.look()
        self.redraw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done."""
        match action:
            case "filter":
                return not self.query_one(FilterBar).has_focus
            case "save":
                return bool(self.narrowing.filter)
            case "forget":
                return bool(self.narrowing.tab.filter)
            case "tab":
                return int(str(parameters[0])) <= len(tabs(self._views, MOST))
            case "clear":
                return bool(self.jobs.marked or self.jobs.all_marked) or self.narrowing != Narrowing()
        return True

    def action_tab(self, number: int) -> None:
        """Show the jobs of another tab."""
        tab = tabs(self._views, MOST)[number - 1]
        self.narrow(structs.replace(self.narrowing, tab=tab, number=number))

    def action_clear(self) -> None:
        """Take back marks, then filter and tab."""
        if self.jobs.marked or self.jobs.all_marked:
            self.jobs.unmark()
        else:
            self.narrow(Narrowing())

    def action_filter(self) -> None:
        """Type a filter."""
        self.query_one(FilterBar).open(self.narrowing.filter)
        self.redraw()

    @on(FilterBar.Submitted)
    def filter_entered(self, message: FilterBar.Submitted) -> None:
        """Show what fits."""
        self.filter_left()
        try:
            text = expanded(message.value.strip(), self._views)
        except ViewError as said:
            self._refused(said)
        else:
            self.narrow(structs.replace(self.narrowing, filter=text))

    @on(FilterBar.Left)
    def filter_left(self) -> None:
        """Keep the filter that there was."""
        self.query_one(FilterBar).display = False
        self.screen.set_focus(self.jobs)
        self.redraw()

    @work(group="views")
    async def action_save(self) -> None:
        """Give this tab and filter a name."""
        self._know(await naming.keep(self.house, self.narrowing.text))

    @work(group="views")
    async def action_forget(self) -> None:
        """Forget the view of this tab."""
        self._know(await naming.forget(self.house, self.narrowing.tab.name.removeprefix("@")))

    def _know(self, views: dict[str, str] | None) -> None:
        """Show the tabs of other views, and the newest of them."""
        if views is None:
            return
        number = len(TABS) + len(views) if len(views) > len(self._views) else 1
        self._views = views
        self.narrow(Narrowing(tabs(views, MOST)[number - 1], number))
