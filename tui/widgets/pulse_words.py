"""How work goes, in a few words at the end of a title: rate, queue, and what keeps it from going."""

import msgspec

from shared.house import Pulse
from tui.plain import plain, width
from tui.times import age, milliseconds
from tui.widgets.bar import Word

_BARS = "▁▂▃▄▅▆▇█"
GAP = "   "


class Check(msgspec.Struct, frozen=True):
    """One thing that the daemon says about whether it is ready."""

    name: str
    ok: bool
    detail: str = ""


class Readiness(msgspec.Struct, frozen=True):
    """What the daemon answers to whether it is ready."""

    ready: bool = True
    checks: tuple[Check, ...] = ()


class Vitals(msgspec.Struct, frozen=True):
    """What is known of the daemon beside its jobs; empty until it has answered."""

    pulse: Pulse | None = None
    readiness: Readiness = Readiness()

    @property
    def paused(self) -> bool:
        """Whether nothing new starts."""
        return self.pulse is not None and self.pulse.paused


def sparkline(numbers: tuple[int, ...]) -> str:
    """Return numbers as bars; the highest of them is full, unless it is small."""
    top = max(*numbers, len(_BARS) - 1) if numbers else 1
    return "".join(_BARS[-(-number * (len(_BARS) - 1) // top)] for number in numbers)


def alarms(vitals: Vitals) -> list[Word]:
    """Return what keeps work from going, on whatever screen; mostly nothing."""
    words: list[Word] = []
    if vitals.paused:
        words.append((f"‖ paused{GAP}", "yellow", "app.switch"))
    failing = [check for check in vitals.readiness.checks if not check.ok and check.name != "rails"]
    if failing:
        more = f" +{len(failing) - 1}" if len(failing) > 1 else ""
        words.append((f"✗ {plain(failing[0].name)}{more}{GAP}", "red", "app.health"))
    return words


def rate(vitals: Vitals, now: int, cells: int) -> list[Word]:
    """Return as much of rate and queue as fits in so many cells, at `now` in milliseconds; the queue goes last."""
    pulse = vitals.pulse
    if pulse is None:
        return []
    bars: list[Word] = [
        (sparkline(pulse.ended), "cyan", ""),
        (f" {pulse.ended[-1] if pulse.ended else 0}/min{GAP}", "", ""),
    ]
    oldest = pulse.oldest_queued_at
    waits = f" · oldest {age(now - milliseconds(oldest)).removesuffix(' ago')}" if oldest else ""
    queue: list[Word] = [(f"queue {pulse.queued:,}{waits}{GAP}", "" if pulse.queued else "dim", "screen.press('2')")]
    for words in ([*bars, *queue], queue):
        if sum(width(text) for text, _, _ in words) <= cells:
            return words
    return []
