"""What a list of jobs is narrowed to: a tab and a filter, as the daemon is asked and as people read it."""

from collections.abc import Sequence

from msgspec import Struct

from shared.models import Status
from tui.plain import plain, width
from tui.widgets.bar import Word
from tui.wording import count


class Tab(Struct, frozen=True):
    """A name, and what it shows: jobs in some states (none is all), or those that a filter means."""

    name: str
    statuses: tuple[Status, ...] = ()
    filter: str = ""


TABS = (
    Tab("All"),
    Tab("Running", (Status.RUNNING, Status.QUEUED)),
    Tab("Waiting for you", (Status.PENDING,)),
    Tab("Failed", (Status.FAILED,)),
)
WAITING = 3


def tabs(views: dict[str, str], most: int) -> tuple[Tab, ...]:
    """Return the tabs that there are, the first of somebody's own views behind them."""
    return (*TABS, *(Tab(f"@{name}", filter=text) for name, text in list(views.items())[:most]))


class Narrowing(Struct, frozen=True):
    """A tab, its number from 1, and the text of a filter."""

    tab: Tab = TABS[0]
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
        return f"{what} hides all {count(everything, 'job')}; esc shows them"


def tab_words(shown: Sequence[Tab], here: int, counts: dict[str, int], cells: int) -> list[Word]:
    """Return the tabs with how many jobs each has, where that is known; without room, some by their numbers alone."""
    words: list[Word] = []
    for named in ({*range(1, len(shown) + 1)}, {*range(1, len(TABS) + 1), here}, {here}):
        words = _tab_words(shown, here, counts, named)
        if sum(width(text) for text, _, _ in words) <= cells:
            break
    return words


def _tab_words(shown: Sequence[Tab], here: int, counts: dict[str, int], named: set[int]) -> list[Word]:
    words: list[Word] = [(" ", "", "")]
    for at, tab in enumerate(shown, 1):
        current, action = at == here, f"screen.press('{at}')"
        number = sum(counts.get(status.lower(), 0) for status in tab.statuses or Status)
        words += [
            (f" {at} ", "accent" if current else "dim", action),
            (plain(tab.name) if at in named else "", "bold" if current else "", action),
            (f" {number:,}  " if counts and not tab.filter else "  ", "" if current else "dim", action),
        ]
    return words
