"""The deliveries, newest first, a line each."""

from collections.abc import Callable

from shared import ids
from shared.models import Delivery, DeliveryPage, Verdict
from tui.plain import cut, plain, width
from tui.times import age, milliseconds
from tui.widgets.paint import Line
from tui.widgets.rows import Rows
from tui.wording import NOTHING, place

VERDICTS = {
    Verdict.ALLOWED: ("✓", "green"),
    Verdict.WAITING: ("◷", "yellow"),
    Verdict.DECIDING: ("◷", "yellow"),
    Verdict.DENIED: ("✗", "red"),
    Verdict.THROTTLED: ("✗", "red"),
    Verdict.IGNORED: ("·", "dim"),
    Verdict.DUPLICATE: ("=", "dim"),
}
_WIDTHS = (8, 11, 10, 26, 22, 4)
_NAMES = ("ID", "VERDICT", "SOURCE", "EVENT", "THREAD", "AGE")


def heading() -> str:
    """Return the line above the rows."""
    return "  " + "".join(f"{name:{room}}  " for name, room in zip(_NAMES, _WIDTHS, strict=True)) + "REASON"


class DeliveryList(Rows):
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

    def draw(self, at: int, cells: int) -> Line:  # noqa: ARG002 (the reason is cut by the screen)
        """Return the line of a delivery."""
        each = self._items[at]
        glyph, colour = VERDICTS[each.verdict]
        event = f"{each.event}.{each.action}" if each.action else each.event
        texts = (
            plain(ids.short(each.id)),
            f"{glyph} {each.verdict.value}",
            plain(each.source),
            plain(event),
            place(each.repository, each.thread),
            age(self._clock() - milliseconds(each.received_at)).removesuffix(" ago"),
        )
        row = [("  ", "")]
        for text, room, style in zip(texts, _WIDTHS, ("", colour, "", "", "", "dim"), strict=True):
            text = cut(text, room)  # noqa: PLW2901 (the same text, shorter)
            row.append((text + " " * (room - width(text) + 2), style))
        return [*row, (f"{plain(each.sender or NOTHING)}  {plain(each.reason)}", "dim")]

    def newest(self, page: DeliveryPage) -> None:
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

    def older(self, page: DeliveryPage) -> None:
        """Put a page below."""
        self._items += page.items
        self.next = page.next
        self.recount()
