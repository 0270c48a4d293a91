"""A bar of one line with clickable parts, and the status of the daemon as parts of a bar."""

from collections.abc import Sequence

from msgspec import Struct
from rich.cells import cell_len
from textual import events
from textual.widgets import Static

from shared.api import Pulse, Readiness
from tui.text.plain import plain
from tui.text.times import age, milliseconds
from tui.widgets.paint import crop, to_content

BarSegment = tuple[str, str, str]  # text, style, and the action that a click runs, or ""

STATUS_GAP = "   "
_SPARKS = "▁▂▃▄▅▆▇█"


class Bar(Static):
    """A line with a left and a right part; the left part is cropped if there is no room for both."""

    DEFAULT_CSS = "Bar { height: 1; width: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }"

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(id=id, markup=False)
        self._left: Sequence[BarSegment] = ()
        self._right: Sequence[BarSegment] = ()

    def show(self, left: Sequence[BarSegment], right: Sequence[BarSegment] = ()) -> None:
        """Replace the content."""
        if (left, right) != (self._left, self._right):
            self._left, self._right = left, right
            self._draw()

    def on_resize(self) -> None:
        """Redraw for the new width."""
        self._draw()

    def _draw(self) -> None:
        # The height never changes: a new layout of the whole screen would cost more than everything else.
        self.update(to_content([(text, style) for text, style, _ in self._segments()]), layout=False)

    async def on_click(self, event: events.Click) -> None:
        """Run the action of the clicked segment."""
        at = 0
        for text, _, action in self._segments():
            at += cell_len(text)
            if event.x < at:
                if action:
                    event.stop()
                    await self.screen.run_action(action)
                return

    def _segments(self) -> list[BarSegment]:
        left, right = list(self._left), list(self._right)
        room = self.size.width - total_width(right)
        if room < min(self.size.width // 3, total_width(left) + 1):
            return left  # too little of the left part would remain
        return [*_cropped(left, room - 1), (" " * max(room - total_width(left), 1), "", ""), *right]


def total_width(segments: Sequence[BarSegment]) -> int:
    """Return the cells that segments take."""
    return sum(cell_len(text) for text, _, _ in segments)


def whole_segments(groups: Sequence[Sequence[BarSegment]], room: int) -> list[BarSegment]:
    """Return the segments of the first groups that fit in `room` cells as a whole."""
    kept: list[BarSegment] = []
    for group in groups:
        room -= total_width(group)
        if room < 0:
            break
        kept += group
    return kept


def _cropped(segments: list[BarSegment], room: int) -> list[BarSegment]:
    kept = []
    for text, style, action in segments:
        if room <= 0:
            break
        kept.append((crop(text, room), style, action))
        room -= cell_len(text)
    return kept


class DaemonStatus(Struct, frozen=True):
    """The last answers about the daemon itself; empty until it has answered."""

    pulse: Pulse | None = None
    readiness: Readiness = Readiness(ready=True)

    @property
    def paused(self) -> bool:
        """Whether an operator has paused the start of jobs."""
        return self.pulse is not None and self.pulse.paused


def sparkline(numbers: tuple[int, ...]) -> str:
    """Return numbers as bars, scaled to the highest; small numbers are not scaled up."""
    top = max(*numbers, len(_SPARKS) - 1) if numbers else 1
    return "".join(_SPARKS[-(-number * (len(_SPARKS) - 1) // top)] for number in numbers)


def status_alarms(status: DaemonStatus) -> list[BarSegment]:
    """Return what keeps jobs from starting, for the title of every screen; usually nothing."""
    segments: list[BarSegment] = []
    if status.paused:
        segments.append((f"‖ paused{STATUS_GAP}", "yellow", "app.toggle_pause"))
    failing = [check for check in status.readiness.checks if not check.ok and check.name != "rails"]
    if failing:
        more = f" +{len(failing) - 1}" if len(failing) > 1 else ""
        segments.append((f"✗ {plain(failing[0].name)}{more}{STATUS_GAP}", "red", "app.show_failing_checks"))
    return segments


def status_load(status: DaemonStatus, now: int, cells: int) -> list[BarSegment]:
    """Return rate and queue, or only the queue, as far as they fit; `now` is in milliseconds since 1970."""
    pulse = status.pulse
    if pulse is None:
        return []
    rate: list[BarSegment] = [
        (sparkline(pulse.ended), "cyan", ""),
        (f" {pulse.ended[-1] if pulse.ended else 0} ended/min{STATUS_GAP}", "", ""),
    ]
    oldest = pulse.oldest_queued_at
    waiting = f" · oldest {age(now - milliseconds(oldest)).removesuffix(' ago')}" if oldest else ""
    queue: list[BarSegment] = [
        (f"queue {pulse.queued:,}{waiting}{STATUS_GAP}", "" if pulse.queued else "dim", "screen.show_queue")
    ]
    for segments in ([*rate, *queue], queue):
        if total_width(segments) <= cells:
            return segments
    return []
