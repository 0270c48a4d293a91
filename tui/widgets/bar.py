"""One line with a left and a right end, some of whose words can be clicked."""

from collections.abc import Sequence

from textual import events
from textual.widgets import Static

from tui.plain import cut, width
from tui.widgets.paint import content

Word = tuple[str, str, str]  # text, style, and the action of a click, or ""


def words(text: str, style: str = "", action: str = "") -> list[Word]:
    """Return one word for a bar."""
    return [(text, style, action)]


class Bar(Static):
    """A line of words; where there is no room for both ends the left one is cut, unless little of it would be left."""

    DEFAULT_CSS = "Bar { height: 1; width: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }"

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(id=id, markup=False)
        self._left: Sequence[Word] = ()
        self._right: Sequence[Word] = ()

    def show(self, left: Sequence[Word], right: Sequence[Word] = ()) -> None:
        """Show other words."""
        if (left, right) != (self._left, self._right):
            self._left, self._right = left, right
            self._draw()

    def on_resize(self) -> None:
        """Fill the new width."""
        self._draw()

    def _draw(self) -> None:
        # A line stays a line: laying out the whole screen again would cost more than all the rest.
        self.update(content([(text, style) for text, style, _ in self._words()]), layout=False)

    async def on_click(self, event: events.Click) -> None:
        """Do what the clicked word is for."""
        at = 0
        for text, _, action in self._words():
            at += width(text)
            if event.x < at:
                if action:
                    event.stop()
                    await self.screen.run_action(action)
                return

    def _words(self) -> list[Word]:
        left, right = list(self._left), list(self._right)
        room = self.size.width - _width(right)
        if room < min(self.size.width // 3, _width(left) + 1):
            return left
        return [*_shortened(left, room - 1), (" " * max(room - _width(left), 1), "", ""), *right]


def _width(line: Sequence[Word]) -> int:
    return sum(width(text) for text, _, _ in line)


def _shortened(line: list[Word], room: int) -> list[Word]:
    kept = []
    for text, style, action in line:
        if room <= 0:
            break
        kept.append((cut(text, room), style, action))
        room -= width(text)
    return kept
