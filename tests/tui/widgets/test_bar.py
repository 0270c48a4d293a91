"""Bars: cropping, clicks, and the status of the daemon."""

import pytest
from textual.app import App, ComposeResult

from shared.api import Pulse, Readiness, ReadinessCheck
from tui.widgets.bar import Bar, BarSegment, DaemonStatus, sparkline, status_alarms, status_load


class BarApp(App[None]):
    clicked = ""

    def compose(self) -> ComposeResult:
        yield Bar()

    def action_note(self, text: str) -> None:
        self.clicked = text


def text(segments: list[BarSegment]) -> str:
    return "".join(part for part, _, _ in segments)


async def test_the_left_part_is_cropped_and_segments_can_be_clicked() -> None:
    app = BarApp()
    async with app.run_test(size=(30, 3)) as pilot:
        bar = app.query_one(Bar)
        bar.show([("日本語 " * 6, "", "app.note('left')")], [("right", "bold", "app.note('right')")])
        await pilot.pause()
        assert str(bar.render()).endswith("… right")
        await pilot.click(Bar, offset=(27, 0))
        assert app.clicked == "right"
        await pilot.click(Bar, offset=(2, 0))
        assert app.clicked == "left"


@pytest.mark.parametrize(("numbers", "bars"), [((), ""), ((0, 1, 7), "▁▂█"), ((0, 50, 100), "▁▅█"), ((1,), "▂")])
def test_a_sparkline_is_scaled_to_its_highest_number(numbers: tuple[int, ...], bars: str) -> None:
    assert sparkline(numbers) == bars


def test_the_status_shows_what_fits_and_what_is_wrong() -> None:
    pulse = Pulse(ended=(0, 2), queued=3, oldest_queued_at=None, paused=True, paused_by=None, reason=None)
    failing = ReadinessCheck("disk", ok=False, detail="full", since="2026-11-22T14:02:11.284Z")
    status = DaemonStatus(pulse, Readiness(ready=False, checks=(failing,)))
    assert text(status_alarms(status)).split() == ["‖", "paused", "✗", "disk"]
    assert text(status_load(status, 0, 40)).split() == ["▁▃", "2", "ended/min", "queue", "3"]
    assert text(status_load(status, 0, 12)).split() == ["queue", "3"]
    assert status_load(status, 0, 5) == status_load(DaemonStatus(), 0, 40) == status_alarms(DaemonStatus()) == []
