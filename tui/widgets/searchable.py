"""Search and filter in a container of pages, for the one that is displayed."""

from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.message import Message
from textual.widget import Widget

from tui.widgets.events import EventList
from tui.widgets.inputs import FindBar
from tui.widgets.lines import LineView
from tui.widgets.log import LogView
from tui.widgets.log_panel import LogPanel
from tui.widgets.text_view import TextView

SearchablePage = LogPanel | EventList | TextView


class SearchablePages(Container):
    """A container of pages, of CSS class `page`, one of which is displayed; its keys search and filter that one.

    What a search found is noted by the page, which then sends LogView.Changed.
    """

    class Searched(Message):
        """The displayed page was searched or filtered."""

    DEFAULT_CSS = "SearchablePages { height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "follow", "follow"),
        Binding("slash", "type('find')", "find", priority=True),
        Binding("ampersand", "type('filter')", "filter", priority=True),
        Binding("n", "again(0)", "next", show=False),
        Binding("N", "again(1)", "previous", show=False),
        Binding("escape", "clear_filter", "clear"),
    ]

    def __init__(self, *children: Widget) -> None:
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
        if action == "clear_filter":
            return bool(_filter_of(self.page))
        if action == "type":
            if self.screen.focused is self.query_one(FindBar):
                return False  # the keys are part of the text
            return parameters[0] == "find" or not isinstance(self.page, TextView) or None
        return True

    def action_follow(self) -> None:
        """Go to the end, and follow it."""
        page = self.page
        if isinstance(page, EventList) and page.paused:
            page.toggle_pause()
        focus_target(page).action_last()

    def action_clear_filter(self) -> None:
        """Show the whole page again."""
        self._set_filter("")

    def action_type(self, purpose: str) -> None:
        """Ask for a text to find or to filter by."""
        self._typing = purpose
        self.query_one(FindBar).open(purpose, self._pattern if purpose == "find" else _filter_of(self.page))

    @on(FindBar.Submitted)
    def text_entered(self, message: FindBar.Submitted) -> None:
        """Find the entered text, or filter by it."""
        self._close_input()
        page = self.page
        if self._typing == "find":
            self._pattern = message.value
            self.action_again(int(_follows(page)))
        else:
            self._set_filter(message.value)

    def _set_filter(self, text: str) -> None:
        if not isinstance(page := self.page, TextView):
            page.set_filter(text)
        self.post_message(self.Searched())

    @on(FindBar.Left)
    def _close_input(self) -> None:
        self.query_one(FindBar).close(focus_target(self.page))

    def action_again(self, backward: int) -> None:
        """Find the next occurrence of the same text, or the previous one."""
        page = self.page
        if isinstance(page, LogPanel):
            page.find(self._pattern, backward=bool(backward))
        elif self._pattern:
            page.find(self._pattern, backward=bool(backward))
            page.post_message(LogView.Changed())  # stops here: Textual sends no message beyond what caused it
        self.post_message(self.Searched())


def focus_target(page: SearchablePage) -> LineView:
    """Return the widget that has the focus while a page is displayed."""
    return page.view if isinstance(page, LogPanel) else page


def _filter_of(page: SearchablePage) -> str:
    return "" if isinstance(page, TextView) else page.filter


def _follows(page: SearchablePage) -> bool:
    """Say whether a page shows the end of something that grows: what is searched for is then above."""
    if isinstance(page, LogPanel):
        return page.log_view.following
    return isinstance(page, EventList) and page.following
