"""What a list of jobs is narrowed to: a tab and a filter, as the daemon is asked and as people read it."""

from msgspec import Struct

from shared.models import Status
from tui.widgets.bar import Word
from tui.wording import count

TABS: tuple[tuple[str, tuple[Status, ...]], ...] = (
    ("All", ()),
    ("Running", (Status.RUNNING, Status.QUEUED)),
    ("Waiting for you", (Status.PENDING,)),
    ("Failed", (Status.FAILED,)),
)


class Narrowing(Struct, frozen=True):
    """A tab, from 1, and the text of a filter."""

    tab: int = 1
    filter: str = ""

    @property
    def statuses(self) -> tuple[Status, ...]:
        """The states that the tab shows; none means all of them."""
        return TABS[self.tab - 1][1]

    @property
    def query(self) -> list[tuple[str, str]]:
        """The same as the daemon is asked."""
        query = [("status", status.value) for status in self.statuses]
        return [*query, ("q", self.filter)] if self.filter else query

    @property
    def text(self) -> str:
        """The same as one filter."""
        states = ",".join(status.lower() for status in self.statuses)
        return " ".join(filter(None, (f"state:{states}" * bool(states), self.filter)))

    def tab_words(self, counts: dict[str, int]) -> list[Word]:
        """Return the tabs with how many jobs each has, as far as that is known."""
        words: list[Word] = [(" ", "", "")]
        for at, (name, statuses) in enumerate(TABS, 1):
            here, action = at == self.tab, f"screen.tab({at})"
            number = f" {sum(counts.get(status.lower(), 0) for status in statuses or Status):,}" if counts else ""
            words += [
                (f" {at} ", "accent" if here else "dim", action),
                (name, "bold" if here else "", action),
                (f"{number}  ", "" if here else "dim", action),
            ]
        return words

    def why_empty(self, counts: dict[str, int]) -> str:
        """Return why there is nothing to see."""
        everything = sum(counts.values())
        if not everything:
            return "no jobs yet: a webhook starts them, or stitcher dispatch TYPE; stitcher demo shows how it goes"
        what = " and ".join(filter(None, ("the tab" * (self.tab > 1), "the filter" * bool(self.filter))))
        return f"{what} hides all {count(everything, 'job')}; esc shows them"
