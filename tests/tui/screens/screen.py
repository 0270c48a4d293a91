"""What is on the screen of a running app, and waiting for it to show something."""

import time
from collections.abc import Callable
from typing import Any, Protocol

from textual.app import App
from textual.pilot import Pilot

from tui.app.app import StitcherApp
from tui.screens.jobs_list import JobList

WAIT_SECONDS = 60.0  # far more than anything takes: the machine may be busy with other tests


class MakeApp(Protocol):
    """Creates the app in front of the fake daemon, with a clock that stands still."""

    def __call__(self, pauses: tuple[float, ...] = (0.05,), **options: Any) -> StitcherApp: ...


def screen_text(app: App[None]) -> str:
    """Return the text on the screen, line by line."""
    # Textual has no public way to read its screen as text.
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips)


async def wait_until(pilot: Pilot[None], condition: Callable[[], object]) -> None:
    """Wait until a condition holds; raise AssertionError with the screen's text if it never does."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        await pilot.pause()
        if condition():
            return
        await pilot.pause(0.02)
    raise AssertionError(f"the condition was not met; the screen:\n{screen_text(pilot.app)}")


async def wait_for_text(pilot: Pilot[None], *texts: str, absent: str | None = None) -> None:
    """Wait until all these texts are on the screen, and `absent` is not."""

    def condition() -> bool:
        screen = screen_text(pilot.app)
        return all(text in screen for text in texts) and (absent is None or absent not in screen)

    await wait_until(pilot, condition)


async def sort_by_age(pilot: Pilot[None]) -> None:
    """Select the order in which the newest jobs stand first."""
    await wait_for_text(pilot, "↑running")
    await pilot.press("s")
    await wait_for_text(pilot, "↑newest")


def job_list(pilot: Pilot[None]) -> JobList:
    """Return the list of jobs, also while another screen covers it."""
    found = pilot.app.screen_stack[0].query_one(JobList)
    assert isinstance(found, JobList)
    return found


def stitcher_app(pilot: Pilot[None]) -> StitcherApp:
    """Return the app that a pilot drives."""
    assert isinstance(pilot.app, StitcherApp)
    return pilot.app
