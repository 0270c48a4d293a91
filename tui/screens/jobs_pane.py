"""The list of jobs as it is narrowed: by a tab, by a filter that is typed, by a view with a name."""

from typing import TYPE_CHECKING, ClassVar, cast

from msgspec import structs
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message

from tui.client.views import MAX_TABS, VIEW_NAME, ViewError, expand_views, save_views
from tui.client.views import load_views as views_load_views
from tui.screens.dialogs import ConfirmDialog, ReasonDialog
from tui.screens.job_query import TABS, WAITING, JobQuery, JobQueryBar, all_tabs
from tui.screens.jobs_list import JobPageLoader, Jobs
from tui.widgets.bar import Bar
from tui.widgets.board import Board
from tui.widgets.inputs import FilterBar, filter_values
from tui.widgets.job_row import IDLE_COLUMNS

if TYPE_CHECKING:
    from tui.app.app import StitcherApp

# merged from tui.screens.naming: A filter gets a name, and loses it: the views of a user, from the screen.


def load_views(app: "StitcherApp") -> dict[str, str]:
    """Return the views that there are; where their file cannot be read, say so and return none."""
    try:
        return views_load_views(app.config)
    except ViewError as said:
        app.say(str(said), wrong=True)
        return {}


async def save_view(app: "StitcherApp", text: str) -> dict[str, str] | None:
    """Ask for a name, and keep a filter under it; returns all views, or None where it was not kept."""
    lines = [
        [("filter  ", "dim"), (text, "accent")],
        [],
        [("It becomes a tab, and @name means it in every filter.", "dim")],
    ]
    name = await app.push_screen_wait(ReasonDialog("Save this as a view?", lines, hint="a name", needed=True))
    if name is None:
        return None
    name = name.removeprefix("@")
    if not VIEW_NAME.fullmatch(name):
        app.say(f"{name} is no name for a view: small letters, digits, - and _, at most 20", wrong=True)
        return None
    views = load_views(app)
    if name not in views and len(views) >= MAX_TABS:
        app.say(f"there are {MAX_TABS} views already: forget one first, with X on its tab", wrong=True)
        return None
    return _write_views(app, {**views, name: text})


async def delete_view(app: "StitcherApp", name: str) -> dict[str, str] | None:
    """Ask, and forget a view; returns those that are left, or None where it was not forgotten."""
    if not await app.push_screen_wait(
        ConfirmDialog(f"Forget the view @{name}?", [[("Its jobs stay as they are.", "dim")]])
    ):
        return None
    return _write_views(app, {other: text for other, text in load_views(app).items() if other != name})


def _write_views(app: "StitcherApp", views: dict[str, str]) -> dict[str, str] | None:
    try:
        save_views(app.config, views)
    except OSError as error:
        app.say(f"the views cannot be kept: {error}", wrong=True)
        return None
    return views


LAST = len(TABS) + MAX_TABS


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
        self.narrowing = JobQuery()
        self._views: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def compose(self) -> ComposeResult:
        """Put head and list under each other."""
        yield JobQueryBar(lambda: filter_values(self.jobs.board, self._views))
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
    def head(self) -> JobQueryBar:
        """What stands over it."""
        return self.query_one(JobQueryBar)

    def on_mount(self) -> None:
        """Begin with all jobs."""
        self._pages = JobPageLoader(self.house.daemon, self.jobs, self.redraw, self._refused)
        self._views = load_views(self.house)
        self.jobs.focus()

    def look(self) -> None:
        """Ask for what is looked at and not true."""
        if self.house.link.live:
            self._pages.look()

    def redraw(self) -> None:
        """Draw everything around the list."""
        self._counts = self.jobs.board.counts or self._counts
        self.head.draw(self.jobs, self.narrowing, all_tabs(self._views, MAX_TABS), self._counts)
        empty = self.query_one("#empty", Bar)
        empty.display = self.jobs.board.loaded and not self.jobs.count
        if empty.display:
            empty.show([("  " + self.narrowing.why_empty(self._counts), "dim", "")])
        self.post_message(self.Drawn())

    def _refused(self, said: Exception) -> None:
        """Show what the daemon does not understand."""
        self.head.fault(said)
        self.redraw()

    def narrow(self, narrowing: JobQuery) -> None:
        """Show other jobs."""
        self.narrowing = narrowing
        self.head.fault(None)
        self.jobs.hidden_columns = IDLE_COLUMNS if narrowing.number == WAITING else frozenset()
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
                return int(str(parameters[0])) <= len(all_tabs(self._views, MAX_TABS))
            case "clear":
                return bool(self.jobs.marked or self.jobs.all_marked) or self.narrowing != JobQuery()
        return True

    def action_tab(self, number: int) -> None:
        """Show the jobs of another tab."""
        tab = all_tabs(self._views, MAX_TABS)[number - 1]
        self.narrow(structs.replace(self.narrowing, tab=tab, number=number))

    def action_clear(self) -> None:
        """Take back marks, then filter and tab."""
        if self.jobs.marked or self.jobs.all_marked:
            self.jobs.clear_marks()
        else:
            self.narrow(JobQuery())

    def action_filter(self) -> None:
        """Type a filter."""
        self.query_one(FilterBar).open(self.narrowing.filter)
        self.redraw()

    @on(FilterBar.Submitted)
    def filter_entered(self, message: FilterBar.Submitted) -> None:
        """Show what fits."""
        self.filter_left()
        try:
            text = expand_views(message.value.strip(), self._views)
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
        self._know(await save_view(self.house, self.narrowing.text))

    @work(group="views")
    async def action_forget(self) -> None:
        """Forget the view of this tab."""
        self._know(await delete_view(self.house, self.narrowing.tab.name.removeprefix("@")))

    def _know(self, views: dict[str, str] | None) -> None:
        """Show the tabs of other views, and the newest of them."""
        if views is None:
            return
        number = len(TABS) + len(views) if len(views) > len(self._views) else 1
        self._views = views
        self.narrow(JobQuery(all_tabs(views, MAX_TABS)[number - 1], number))
