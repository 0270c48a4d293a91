"""Search and filter: in a panel with a text of any size, and in a container of pages for the one displayed."""

import asyncio
from collections.abc import Callable
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from tui.client.http import ApiError, DaemonUnreachable, InvalidResponse, NotUtf8
from tui.text.plain import plain, single_line
from tui.widgets.events import EventList
from tui.widgets.inputs import FindBar
from tui.widgets.lines import LineView, RowView, TextView
from tui.widgets.log import LogView
from tui.widgets.log_search import MatchList, search_log
from tui.widgets.log_text import LineFormatter, ReadRange, log_line


class LogPanel(Container):
    """Shows a text, or, with a filter, its matching lines; a text that `grows` is shown from its end."""

    def __init__(
        self,
        *,
        id: str,  # noqa: A002 (Textual's own name)
        line_formatter: LineFormatter = log_line,
        colour: Callable[[str], str] = lambda _: "",
        empty: str = "no output",
        grows: bool = True,
    ) -> None:
        super().__init__(id=id)
        self.filter = ""
        self.grows = grows
        self.log_view = LogView(line_formatter, colour, empty)
        self._matches = MatchList(line_formatter)
        self._matches.display = False
        self._read: ReadRange | None = None
        self._note = ""
        self._found: int | None = None

    def compose(self) -> ComposeResult:
        """Compose the text and the list of matches, one of which is displayed."""
        yield self.log_view
        yield self._matches

    @property
    def view(self) -> LineView:
        """The view that is displayed, and has the focus."""
        return self._matches if self.filter else self.log_view

    @property
    def note(self) -> str:
        """An error, or the state of a search; empty if there is nothing to report."""
        if self.filter:
            return self._matches.summary
        return self._note or (self.log_view.note if self.log_view.text.lines else "")

    def open(self, read: ReadRange) -> None:
        """Show another text, with the same filter."""
        self._read, self._note, self._found = read, "", None
        self.log_view.open(read, at_end=self.grows)
        if self.filter:
            self._matches.search(read, self.filter, following=self.grows)

    def check_growth(self) -> None:
        """Load what was added to the text."""
        self.log_view.check_growth()
        if self.filter:
            self._matches.check_growth()

    def set_filter(self, text: str) -> None:
        """Show only the lines that contain a text, ignoring case; all of them if it is empty."""
        had_focus, selected = self.view.has_focus, self._matches.selected_offset if self.filter else None
        self.filter = text
        self._matches.display, self.log_view.display = bool(text), not text
        if text and self._read:
            self._matches.search(self._read, text, following=self.log_view.following)
        elif selected is not None:
            self.log_view.go_to(selected)
        if had_focus:
            self.view.focus()
        self.post_message(LogView.Changed())

    @on(RowView.Opened)
    def match_opened(self, message: RowView.Opened) -> None:
        """Show the selected match within the whole text."""
        message.stop()
        self.log_view.set_pattern(self.filter)
        self.set_filter("")

    @on(RowView.Moved)
    def match_selected(self, message: RowView.Moved) -> None:
        """Keep the message from the screen, which would take it for one of its own lists."""
        message.stop()

    def find(self, pattern: str, *, backward: bool) -> None:
        """Search for a text from the visible part on, ignoring case, and scroll to it."""
        if self.filter:
            self.set_filter("")
        self.log_view.set_pattern(pattern)
        if pattern and self._read:
            self._find(self._read, pattern.lower().encode(), backward)

    @work(group="find", exclusive=True)
    async def _find(self, read: ReadRange, pattern: bytes, backward: bool) -> None:  # noqa: FBT001 (a worker)
        self._set_note(f"searching for {plain(pattern.decode())} …")
        start = self._search_start(backward=backward)
        try:
            found = await asyncio.to_thread(search_log, read, pattern, start, backward=backward)
        except (ApiError, DaemonUnreachable, InvalidResponse, NotUtf8) as error:
            self._set_note(single_line(str(error)))
            return
        where = "above" if backward else "below"
        self._set_note("" if found is not None else f"{plain(pattern.decode())} is not {where}")
        if found is not None:
            self._found = found
            self.log_view.go_to(found)

    def _search_start(self, *, backward: bool) -> int:
        top, end = self.log_view.visible_bytes
        if self._found is not None and top <= self._found < end:
            return self._found if backward else self._found + 1
        return end if backward else top

    def _set_note(self, note: str) -> None:
        self._note = note
        self.post_message(LogView.Changed())


SearchablePage = LogPanel | EventList | TextView


class SearchablePages(Container):
    """A container of pages, of CSS class `page`, one of which is displayed; its keys search and filter that one."""

    DEFAULT_CSS = "SearchablePages { height: 1fr; }"
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
        """The page that is displayed."""
        displayed = next(page for page in self.query(".page") if page.display)
        assert isinstance(displayed, LogPanel | EventList | TextView)  # noqa: S101 (see the docstring of the class)
        return displayed

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only the actions that apply to the displayed page; the help dims the others."""
        if action == "follow":
            page = self.page
            return (page.grows if isinstance(page, LogPanel) else isinstance(page, EventList)) or None
        if action == "type":
            if self.screen.focused is self.query_one(FindBar):
                return False  # the keys are part of the text
            return parameters[0] == "find" or not isinstance(self.page, TextView) or None
        return True

    def action_follow(self) -> None:
        """Go to the end, and follow it."""
        focus_target(self.page).action_last()

    def action_type(self, purpose: str) -> None:
        """Ask for a text to find or to filter by."""
        self._typing = purpose
        page = self.page
        current_filter = "" if isinstance(page, TextView) else page.filter
        self.query_one(FindBar).open(purpose, self._pattern if purpose == "find" else current_filter)

    @on(FindBar.Submitted)
    def text_entered(self, message: FindBar.Submitted) -> None:
        """Find the entered text, or filter by it."""
        self._close_input()
        page = self.page
        if self._typing == "find":
            self._pattern = message.value
            self.action_again(int(isinstance(page, LogPanel) and page.log_view.following))
        elif not isinstance(page, TextView):
            page.set_filter(message.value)

    @on(FindBar.Left)
    def _close_input(self) -> None:
        self.query_one(FindBar).close(focus_target(self.page))

    def action_again(self, backward: int) -> None:
        """Find the next occurrence of the same text, or the previous one."""
        page = self.page
        if isinstance(page, LogPanel):
            page.find(self._pattern, backward=bool(backward))
        elif self._pattern and not page.find(self._pattern, backward=bool(backward)):
            where = "above" if backward else "below"
            self.notify(f"{plain(self._pattern)} is not {where}", markup=False, timeout=2)


def focus_target(page: SearchablePage) -> LineView:
    """Return the widget that has the focus while a page is displayed."""
    return page.view if isinstance(page, LogPanel) else page
