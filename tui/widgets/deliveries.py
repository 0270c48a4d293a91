"""The deliveries, newest first, a line each."""

from collections.abc import Callable

from shared import ids
from shared.api import DeliveryPage
from shared.models import Delivery, Verdict
from tui.text.jobs import DASH, location
from tui.text.plain import plain, truncate, width
from tui.text.times import age, milliseconds
from tui.widgets.lines import RowView
from tui.widgets.paint import StyledLine

VERDICT_STYLES = {
    Verdict.ALLOWED: ("✓", "green"),
    Verdict.WAITING: ("◷", "yellow"),
    Verdict.DECIDING: ("◷", "yellow"),
    Verdict.DENIED: ("✗", "red"),
    Verdict.THROTTLED: ("✗", "red"),
    Verdict.IGNORED: ("·", "dim"),
    Verdict.DUPLICATE: ("=", "dim"),
}
_COLUMNS = (("ID", 8), ("VERDICT", 11), ("SOURCE", 10), ("EVENT", 26), ("THREAD", 22), ("AGE", 4))
_NARROW = ((96, "SOURCE"), (84, "AGE"), (80, "EVENT"))  # cells below which a column goes
GAP = 2


def _columns(cells: int) -> list[tuple[str, int]]:
    gone = {name for least, name in _NARROW if cells < least}
    return [(name, room) for name, room in _COLUMNS if name not in gone]


def delivery_heading(cells: int) -> str:
    """Return the line above the rows."""
    return " " * GAP + "".join(f"{name:{room + GAP}}" for name, room in _columns(cells)) + "REASON"


class DeliveryList(RowView):
    """Rows of deliveries; more are asked for when the end comes near."""

    def __init__(self, clock: Callable[[], int], *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(id=id)
        self._clock = clock
        self._items: list[Delivery] = []
        self.next: str | None = None
        self.loaded = False

    @property
    def count(self) -> int:
        """How many are known."""
        return len(self._items)

    @property
    def delivery(self) -> Delivery | None:
        """The delivery under the cursor."""
        return self._items[self.cursor] if self._items else None

    def draw(self, at: int, cells: int) -> StyledLine:
        """Return the line of a delivery."""
        each = self._items[at]
        glyph, colour = VERDICT_STYLES[each.verdict]
        event = f"{each.event}.{each.action}" if each.action else each.event
        texts = {
            "ID": (plain(ids.short_id(each.id)), ""),
            "VERDICT": (f"{glyph} {each.verdict.value}", colour),
            "SOURCE": (plain(each.source), ""),
            "EVENT": (plain(event), ""),
            "THREAD": (location(each.repository, each.thread), ""),
            "AGE": (age(self._clock() - milliseconds(each.received_at)).removesuffix(" ago"), "dim"),
        }
        row = [(" " * GAP, "")]
        for name, room in _columns(cells):
            text, style = texts[name]
            text = truncate(text, room)
            row.append((text + " " * (room - width(text) + GAP), style))
        return [*row, (f"{plain(each.sender or DASH)}  {plain(each.reason)}", "dim")]

    def prepend_page(self, page: DeliveryPage) -> None:
        """Put a page of the newest on top; the cursor stays on its delivery, or on the newest."""
        known = {each.id: at for at, each in enumerate(self._items)}
        anchor = next((known[each.id] for each in reversed(page.items) if each.id in known), None)
        if anchor is None:
            self._items, self.next = list(page.items), page.next
            grown = 0
        else:
            grown = len(page.items) - anchor - 1
            self._items[: anchor + 1] = page.items
        self.loaded = True
        top = self.scroll_offset.y
        if self.cursor or top:
            self.cursor += grown
            self.recount()
            self.jump(top + grown)
        else:
            self.recount()

    def append_page(self, page: DeliveryPage) -> None:
        """Put a page below."""
        self._items += page.items
        self.next = page.next
        self.recount()
