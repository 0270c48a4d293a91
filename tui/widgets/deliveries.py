"""The list of deliveries, newest first, one line each."""

from collections.abc import Callable

from rich.cells import cell_len

from shared import ids
from shared.deliveries import Delivery, DeliveryPage
from shared.models import Verdict
from tui.text.jobs import DASH, location
from tui.text.plain import plain
from tui.text.times import age, milliseconds
from tui.widgets.lines import RowView
from tui.widgets.paint import StyledLine, crop

VERDICT_STYLES = {
    Verdict.ALLOWED: ("✓", "green"),
    Verdict.WAITING: ("◷", "yellow"),
    Verdict.DECIDING: ("◷", "yellow"),
    Verdict.DENIED: ("✗", "red"),
    Verdict.THROTTLED: ("✗", "red"),
    Verdict.IGNORED: ("·", "dim"),
    Verdict.DUPLICATE: ("=", "dim"),
}
GAP = 2
_COLUMNS = (("ID", 8), ("VERDICT", 11), ("SENDER", 18), ("EVENT", 26), ("THREAD", 22), ("AGE", 4))
_MIN_WIDTHS = {"SENDER": 92, "EVENT": 112}  # cells of the list below which a column is left out


def delivery_heading(cells: int) -> str:
    """Return the line with the names of the columns."""
    return " " * GAP + "".join(f"{name:{size + GAP}}" for name, size in _columns(cells)) + "REASON"


class DeliveryList(RowView):
    """Rows of deliveries; the screen loads further pages when the end comes near."""

    def __init__(self, clock: Callable[[], int], *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(id=id)
        self._clock = clock
        self._items: list[Delivery] = []
        self.next: str | None = None  # what the page behind the last one is asked for with
        self.loaded = False
        self._drawn_ages: dict[int, str] = {}

    @property
    def count(self) -> int:
        """The number of loaded deliveries."""
        return len(self._items)

    @property
    def delivery(self) -> Delivery | None:
        """The delivery under the cursor."""
        return self._items[self.cursor] if self._items else None

    def tick(self) -> None:
        """Redraw the visible rows whose ages have changed."""
        first, last = self.visible_rows
        for at in range(first, min(last + 1, self.count)):
            if self._drawn_ages.get(at) != self._age(at):
                self.refresh_line(at)
        self._drawn_ages = {at: text for at, text in self._drawn_ages.items() if first <= at <= last}

    def _age(self, at: int) -> str:
        return age(self._clock() - milliseconds(self._items[at].received_at)).removesuffix(" ago")

    def draw(self, at: int, cells: int) -> StyledLine:
        """Return the line of a delivery."""
        each = self._items[at]
        self._drawn_ages[at] = self._age(at)
        glyph, colour = VERDICT_STYLES[each.verdict]
        sender = plain(each.sender or f"{each.source}:{DASH}")
        event = f"{each.event}.{each.action}" if each.action else each.event
        texts = {
            "ID": (plain(ids.short_id(each.id)), ""),
            "VERDICT": (f"{glyph} {each.verdict.value}", colour),
            "SENDER": (sender, ""),
            "EVENT": (plain(event), ""),
            "THREAD": (location(each.repository, each.thread), ""),
            "AGE": (self._drawn_ages[at], "dim"),
        }
        row = [(" " * GAP, "")]
        columns = _columns(cells)
        for name, size in columns:
            text, style = texts[name]
            text = crop(text, size)
            row.append((text + " " * (size - cell_len(text) + GAP), style))
        who = "" if any(name == "SENDER" for name, _ in columns) else f"{sender}  "
        return [*row, (f"{who}{plain(each.reason)}", "dim")]

    def prepend_page(self, page: DeliveryPage) -> None:
        """Put a page of the newest on top; the cursor stays on its delivery, or on the newest."""
        rows = {each.id: row for row, each in enumerate(self._items)}
        overlap = next((rows[each.id] for each in reversed(page.items) if each.id in rows), None)
        if overlap is None:
            self._items, self.next = list(page.items), page.next
            added = 0
        else:
            added = len(page.items) - overlap - 1
            self._items[: overlap + 1] = page.items
        self.loaded = True
        top = self.scroll_offset.y
        if self.cursor or top:
            self.cursor += added
            self.recount()
            self.jump(top + added)
        else:
            self.recount()

    def append_page(self, page: DeliveryPage) -> None:
        """Put a page of older deliveries below."""
        self._items += page.items
        self.next = page.next
        self.recount()


def _columns(cells: int) -> list[tuple[str, int]]:
    return [(name, size) for name, size in _COLUMNS if cells >= _MIN_WIDTHS.get(name, 0)]
