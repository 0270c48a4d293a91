"""A place of pages, one of which is seen, that can be looked through: found in, filtered, followed."""

from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Container

from tui.plain import plain
from tui.widgets.event_list import EventList
from tui.widgets.find_bar import FindBar
from tui.widgets.lines import Lines, Painted
from tui.widgets.output import Output

Page = Output | EventList | Painted


class Searched(Container):
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
    def page(self) -> Page:
        """The page that is seen."""
        shown = next(page for page in self.query(".page") if page.display)
        assert isinstance(shown, Output | EventList | Painted)  # noqa: S101 (the class says so)
        return shown

    @property
    def _keys(self) -> Lines:
        return view_of(self.page)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done to the page."""
        if action == "follow":
            page = self.page
            return page.grows if isinstance(page, Output) else isinstance(page, EventList)
        if action == "type":
            free = self.screen.focused is not self.query_one(FindBar)
            return free and (parameters[0] == "find" or not isinstance(self.page, Painted))
        return True

    def action_follow(self) -> None:
        """Go to the end, and stay there."""
        self._keys.action_last()

    def action_type(self, what: str) -> None:
        """Type what to look for, or what to show alone."""
        self._typing = what
        page = self.page
        narrowed = "" if isinstance(page, Painted) else page.filter
        self.query_one(FindBar).open(what, self._pattern if what == "find" else narrowed)

    @on(FindBar.Submitted)
    def entered(self, message: FindBar.Submitted) -> None:
        """Look for it, or show it alone."""
        self._leave()
        page = self.page
        if self._typing == "find":
            self._pattern = message.value
            self.action_again(int(isinstance(page, Output) and page.log_view.following))
        elif not isinstance(page, Painted):
            page.narrow(message.value)

    @on(FindBar.Left)
    def _leave(self) -> None:
        self.query_one(FindBar).close(self._keys)

    def action_again(self, backward: int) -> None:
        """Look for the same further on."""
        page = self.page
        if isinstance(page, Output):
            page.find(self._pattern, backward=bool(backward))
        elif self._pattern and not page.find(self._pattern, backward=bool(backward)):
            where = "above" if backward else "below"
            self.notify(f"{plain(self._pattern)} is not {where}", markup=False, timeout=2)


def view_of(page: Page) -> Lines:
    """Return what has the keys while a page is read."""
    return page.view if isinstance(page, Output) else page
