"""One line with a left and a right end, some of whose words can be clicked."""

from collections.abc import Sequence

import msgspec
from textual import events
from textual.widgets import Static

from shared.api import Pulse, Readiness
from tui.text.plain import plain, truncate, width
from tui.text.times import age, milliseconds
from tui.widgets.paint import to_content

# merged from tui.widgets.pulse_words: How work goes, in a few words at the end of a title: rate, queue, and
# what keeps it from going.

BarSegment = tuple[str, str, str]  # text, style, and the action of a click, or ""


def words(text: str, style: str = "", action: str = "") -> list[BarSegment]:
    """Return one word for a bar."""
    return [(text, style, action)]


class Bar(Static):
    """A line of words; where there is no room for both ends the left one is cut, unless little of it would be left."""

    DEFAULT_CSS = "Bar { height: 1; width: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }"

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(id=id, markup=False)
        self._left: Sequence[BarSegment] = ()
        self._right: Sequence[BarSegment] = ()

    def show(self, left: Sequence[BarSegment], right: Sequence[BarSegment] = ()) -> None:
        """Show other words."""
        if (left, right) != (self._left, self._right):
            self._left, self._right = left, right
            self._draw()

    def on_resize(self) -> None:
        """Fill the new width."""
        self._draw()

    def _draw(self) -> None:
        # A line stays a line: laying out the whole screen again would cost more than all the rest.
        self.update(to_content([(text, style) for text, style, _ in self._words()]), layout=False)

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

    def _words(self) -> list[BarSegment]:
        left, right = list(self._left), list(self._right)
        room = self.size.width - _bar_width(right)
        if room < min(self.size.width // 3, _bar_width(left) + 1):
            return left
        return [*_shortened(left, room - 1), (" " * max(room - _bar_width(left), 1), "", ""), *right]


def _bar_width(line: Sequence[BarSegment]) -> int:
    return sum(width(text) for text, _, _ in line)


def _shortened(line: list[BarSegment], room: int) -> list[BarSegment]:
    kept = []
    for text, style, action in line:
        if room <= 0:
            break
        kept.append((truncate(text, room), style, action))
        room -= width(text)
    return kept


_BARS = "▁▂▃▄▅▆▇█"
STATUS_GAP = "   "


class DaemonStatus(msgspec.Struct, frozen=True):
    """What is known of the daemon beside its jobs; empty until it has answered."""

    pulse: Pulse | None = None
    readiness: Readiness = Readiness(ready=True)

    @property
    def paused(self) -> bool:
        """Whether nothing new starts."""
        return self.pulse is not None and self.pulse.paused


def sparkline(numbers: tuple[int, ...]) -> str:
    """Return numbers as bars; the highest of them is full, unless it is small."""
    top = max(*numbers, len(_BARS) - 1) if numbers else 1
    return "".join(_BARS[-(-number * (len(_BARS) - 1) // top)] for number in numbers)


def status_alarms(vitals: DaemonStatus) -> list[BarSegment]:
    """Return what keeps work from going, on whatever screen; mostly nothing."""
    words: list[BarSegment] = []
    if vitals.paused:
        words.append((f"‖ paused{STATUS_GAP}", "yellow", "app.switch"))
    failing = [check for check in vitals.readiness.checks if not check.ok and check.name != "rails"]
    if failing:
        more = f" +{len(failing) - 1}" if len(failing) > 1 else ""
        words.append((f"✗ {plain(failing[0].name)}{more}{STATUS_GAP}", "red", "app.health"))
    return words


def status_load(vitals: DaemonStatus, now: int, cells: int) -> list[BarSegment]:
    """Return as much of rate and queue as fits in so many cells, at `now` in milliseconds; the queue goes last."""
    pulse = vitals.pulse
    if pulse is None:
        return []
    bars: list[BarSegment] = [
        (sparkline(pulse.ended), "cyan", ""),
        (f" {pulse.ended[-1] if pulse.ended else 0}/min{STATUS_GAP}", "", ""),
    ]
    oldest = pulse.oldest_queued_at
    waits = f" · oldest {age(now - milliseconds(oldest)).removesuffix(' ago')}" if oldest else ""
    queue: list[BarSegment] = [
        (f"queue {pulse.queued:,}{waits}{STATUS_GAP}", "" if pulse.queued else "dim", "screen.press('2')")
    ]
    for words in ([*bars, *queue], queue):
        if sum(width(text) for text, _, _ in words) <= cells:
            return words
    return []
