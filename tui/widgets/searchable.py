"""A text of any size with what one does to it: look for something, or have only the lines that hold it."""

import asyncio
from collections.abc import Callable
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from tui.client.http import ApiError, DaemonUnreachable, InvalidResponse, NotUtf8
from tui.text.plain import plain
from tui.widgets import log_text
from tui.widgets.events import EventList
from tui.widgets.inputs import FindBar
from tui.widgets.lines import LineView, RowView, TextView
from tui.widgets.log import LogView
from tui.widgets.log_search import MatchList, search_log
from tui.widgets.log_text import LineFormatter, ReadRange

# merged from tui.widgets.searched: A place of pages, one of which is seen, that can be looked through: found
# in, filtered, followed.


class LogPanel(Container):
    """The whole text, or in its place the lines that hold `filter`; one that `grows` is read from its end."""

    def __init__(
        self,
        *,
        id: str,  # noqa: A002 (Textual's own name)
        shown: LineFormatter = log_text.log_line,
        colour: Callable[[str], str] = lambda _: "",
        empty: str = "no output",
        grows: bool = True,
    ) -> None:
        super().__init__(id=id)
        self.pattern = ""
        self.filter = ""
        self.log_view = LogView(shown, colour, empty)
        self._matches = MatchList(shown)
        self._matches.display = False
        self.grows = grows
        self._read: ReadRange | None = None
        self._note = ""
        self._found: int | None = None

    def compose(self) -> ComposeResult:
        """Put one in the place of the other."""
        yield self.log_view
        yield self._matches

    @property
    def view(self) -> LineView:
        """What is seen, and has the keys."""
        return self._matches if self.filter else self.log_view

    @property
    def note(self) -> str:
        """What is to be said of it; empty where there is nothing."""
        if self.filter:
            return self._matches.says
        return self._note or (self.log_view.note if self.log_view.text.lines else "")

    def open(self, read: ReadRange) -> None:
        """Show another text; it is looked through for the same."""
        self._read, self._note, self._found = read, "", None
        self.log_view.open(read, at_end=self.grows)
        if self.filter:
            self._matches.look(read, self.filter, following=self.grows)

    def check_growth(self) -> None:
        """Look whether the text has grown."""
        self.log_view.check_growth()
        if self.filter:
            self._matches.check_growth()

    def set_filter(self, text: str) -> None:
        """Show only the lines that hold a text, in any case; all of them for an empty one."""
        had_keys, back = self.view.has_focus, self._matches.selected_offset if self.filter else None
        self.filter = text
        self._matches.display, self.log_view.display = bool(text), not text
        if text and self._read:
            self._matches.look(self._read, text, following=self.log_view.following)
        elif back is not None:
            self.log_view.go_to(back)
        if had_keys:
            self.view.focus()
        self.post_message(LogView.Changed())

    @on(RowView.Opened)
    def opened(self, message: RowView.Opened) -> None:
        """Show a line among its neighbours."""
        message.stop()
        self.mark(self.filter)
        self.set_filter("")

    @on(RowView.Moved)
    def moved(self, message: RowView.Moved) -> None:
        """Keep the cursor of the matches from being taken for that of the steps."""
        message.stop()

    def mark(self, pattern: str) -> None:
        """Have a text stand out."""
        self.pattern = pattern
        self.log_view.mark(pattern)

    def find(self, pattern: str, *, backward: bool) -> None:
        """Look for a text from here on, in any case, and go there when it is found."""
        if self.filter:
            self.set_filter("")
        self.mark(pattern)
        if pattern and self._read:
            self._scan(self._read, pattern.lower().encode(), backward)

    @work(group="find", exclusive=True)
    async def _scan(self, read: ReadRange, wanted: bytes, backward: bool) -> None:  # noqa: FBT001 (a worker)
        self._say(f"looking for {plain(wanted.decode())} …")
        try:
            found = await asyncio.to_thread(search_log, read, wanted, self._from(backward=backward), backward=backward)
        except (ApiError, DaemonUnreachable, InvalidResponse, NotUtf8) as said:
            self._say(str(said))
            return
        self._say("" if found is not None else f"{plain(wanted.decode())} is not {'above' if backward else 'below'}")
        if found is not None:
            self._found = found
            self.log_view.go_to(found)

    def _from(self, *, backward: bool) -> int:
        top, end = self.log_view.seen
        if self._found is not None and top <= self._found < end:
            return self._found if backward else self._found + 1
        return end if backward else top

    def _say(self, note: str) -> None:
        self._note = note
        self.post_message(LogView.Changed())


SearchablePage = LogPanel | EventList | TextView


class SearchablePages(Container):
    """Whatever is in it, the keys mean the one of its pages (of the class `page`) that is displayed."""

    DEFAULT_CSS = "Searched { height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "follow", "follow"),
        Binding("slash", "type('find')", "find", priority=True),
        Binding("ampersand", "type('filter')", "filter", priority=True),
        Binding("n", "again(0)", "next", show=False),
        Binding("N", "again(1)", "previous", show=False),
    ]

    def __init__(self, *children: Container) -> None:
        super().__init__(*children, FindBar(id="typing"))
        self._typing = ""
        self._pattern = ""

    @property
    def page(self) -> SearchablePage:
        """The page that is seen."""
        shown = next(page for page in self.query(".page") if page.display)
        assert isinstance(shown, LogPanel | EventList | TextView)  # noqa: S101 (the class says so)
        return shown

    @property
    def _keys(self) -> LineView:
        return focus_target(self.page)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done to the page."""
        if action == "follow":
            page = self.page
            return page.grows if isinstance(page, LogPanel) else isinstance(page, EventList)
        if action == "type":
            free = self.screen.focused is not self.query_one(FindBar)
            return free and (parameters[0] == "find" or not isinstance(self.page, TextView))
        return True

    def action_follow(self) -> None:
        """Go to the end, and stay there."""
        self._keys.action_last()

    def action_type(self, what: str) -> None:
        """Type what to look for, or what to show alone."""
        self._typing = what
        page = self.page
        narrowed = "" if isinstance(page, TextView) else page.filter
        self.query_one(FindBar).open(what, self._pattern if what == "find" else narrowed)

    @on(FindBar.Submitted)
    def entered(self, message: FindBar.Submitted) -> None:
        """Look for it, or show it alone."""
        self._leave()
        page = self.page
        if self._typing == "find":
            self._pattern = message.value
            self.action_again(int(isinstance(page, LogPanel) and page.log_view.following))
        elif not isinstance(page, TextView):
            page.set_filter(message.value)

    @on(FindBar.Left)
    def _leave(self) -> None:
        self.query_one(FindBar).close(self._keys)

    def action_again(self, backward: int) -> None:
        """Look for the same further on."""
        page = self.page
        if isinstance(page, LogPanel):
            page.find(self._pattern, backward=bool(backward))
        elif self._pattern and not page.find(self._pattern, backward=bool(backward)):
            where = "above" if backward else "below"
            self.notify(f"{plain(self._pattern)} is not {where}", markup=False, timeout=2)


def focus_target(page: SearchablePage) -> LineView:
    """Return what has the keys while a page is read."""
    return page.view if isinstance(page, LogPanel) else page
