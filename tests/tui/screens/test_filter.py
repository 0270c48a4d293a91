"""The filter of the jobs list: it narrows the list while it is typed, and a fault in it changes nothing."""

from functools import partial

from textual.pilot import Pilot

from tests.tui.fake_daemon import FakeDaemon
from tests.tui.screens.screen import MakeApp, screen_text, wait_for_text, wait_until
from tui.screens.jobs_list import JobList


def _rows(pilot: Pilot[None]) -> int:
    return int(pilot.app.screen_stack[0].query_one(JobList).count)


def _fill(daemon: FakeDaemon) -> None:
    for number in range(1, 13):
        daemon.job(number, status="FAILED" if number % 2 else "QUEUED")


def _is_first(pilot: Pilot[None], number: int) -> bool:
    return f"octo-org/api#{number} " in screen_text(pilot.app).splitlines()[5]


async def test_the_list_narrows_while_a_filter_is_typed(daemon: FakeDaemon, make_app: MakeApp) -> None:
    _fill(daemon)
    async with make_app().run_test(size=(120, 20)) as pilot:
        await wait_until(pilot, lambda: _rows(pilot) == 12)
        await pilot.press("slash", *"api#1")
        await wait_until(pilot, lambda: _rows(pilot) == 4)
        await pilot.press("1")
        await wait_until(pilot, lambda: _rows(pilot) == 1)
        await pilot.press("escape")
        await wait_until(pilot, lambda: _rows(pilot) == 12 and "/ no filter" in screen_text(pilot.app))


async def test_a_filter_with_a_fault_keeps_the_last_list(daemon: FakeDaemon, make_app: MakeApp) -> None:
    _fill(daemon)
    async with make_app().run_test(size=(160, 20)) as pilot:
        await wait_until(pilot, lambda: _rows(pilot) == 12)
        await pilot.press("slash", *"api#1", "enter")
        await wait_until(pilot, lambda: _rows(pilot) == 4)
        await pilot.press("slash", *" issue:20", "enter")
        await wait_for_text(pilot, "unknown key 'issue' (known: state, type, repo", "/ api#1 issue:20")
        text = screen_text(pilot.app)
        assert "hides all" not in text
        lines = text.splitlines()
        at = next(at for at, line in enumerate(lines) if "▲ unknown key" in line)
        assert lines[at].index("▲") == lines[at - 1].index("issue:20")
        assert _rows(pilot) == 4
        await pilot.press("slash", *["backspace"] * len(" issue:20"), "enter")
        await wait_for_text(pilot, "/ api#1", absent="unknown key")


async def test_what_only_the_daemon_refuses_keeps_the_last_list_too(daemon: FakeDaemon, make_app: MakeApp) -> None:
    _fill(daemon)
    async with make_app().run_test(size=(120, 20)) as pilot:
        await wait_until(pilot, lambda: _rows(pilot) == 12)
        daemon.refused_filter = "api#2"
        await pilot.press("slash", *"api#2", "enter")
        await wait_for_text(pilot, "▲ api#2 is not for this daemon")
        await wait_until(pilot, lambda: _rows(pilot) == 12)


async def test_the_running_tab_shows_what_runs_and_the_queue_is_a_click_away(
    daemon: FakeDaemon, make_app: MakeApp
) -> None:
    _fill(daemon)
    daemon.job(13, status="RUNNING")
    async with make_app().run_test(size=(120, 20)) as pilot:
        await wait_for_text(pilot, "2 Running 1   3 Waiting for you 0   4 Failed 6", "queue 3")
        queue = screen_text(pilot.app).splitlines()[0].index("queue 3")
        await pilot.click("#title", offset=(queue, 0))
        await wait_for_text(pilot, "/ state:queued")


async def test_running_jobs_stand_first_until_another_order_is_selected(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.job(1, status="RUNNING")
    for number in range(2, 300):
        daemon.job(number, status="FAILED" if number % 2 else "QUEUED")
    async with make_app().run_test(size=(120, 20)) as pilot:
        for order, first in (("running", 1), ("newest", 299), ("state", 1), ("running", 1)):
            await wait_for_text(pilot, f"↑{order}")
            await wait_until(pilot, partial(_is_first, pilot, first))
            await pilot.press("s")
