"""Saved views, and the list of jobs on the smallest terminal."""

from pathlib import Path

from textual.pilot import Pilot

from tests.tui.fake_daemon import FakeDaemon
from tests.tui.screens.screen import MakeApp, screen_text, wait_for_text, wait_until
from tui.screens.jobs import JobsScreen
from tui.screens.jobs_list import JobList


def rows(pilot: Pilot[None]) -> int:
    return int(pilot.app.screen_stack[0].query_one(JobList).count)


async def test_a_view_is_saved_shown_and_deleted(daemon: FakeDaemon, make_app: MakeApp, tmp_path: Path) -> None:
    for number in range(1, 13):
        daemon.job(number, status="FAILED" if number % 2 else "COMPLETED")
    async with make_app().run_test(size=(120, 30), notifications=True) as pilot:
        await wait_until(pilot, lambda: rows(pilot) == 12 and "5 @stuck" in screen_text(pilot.app))
        await pilot.press("4", "slash", *"api#1", "enter")
        await wait_until(pilot, lambda: rows(pilot) == 2 and "S save as view" in screen_text(pilot.app))
        await pilot.press("S")
        await wait_for_text(pilot, "Save this as a view?")
        await pilot.press(*"Ones", "enter")
        await wait_for_text(pilot, "Ones is not a name for a view")
        await pilot.press("S")
        await wait_for_text(pilot, "Save this as a view?")
        await pilot.press(*"@ones", "enter")
        await wait_for_text(pilot, "5 @stuck   6 @ones")
        assert 'ones = "state:failed api#1"\n' in (tmp_path / "views.toml").read_text("utf-8")
        assert any("q=state%3Afailed+api%231" in path for path, _ in daemon.requests)
        await pilot.press("1", "slash", *"@on", "tab", "enter")
        await wait_for_text(pilot, "/ state:failed api#1")
        await pilot.press("escape", "6", "X")
        await wait_for_text(pilot, "Delete the view @ones?")
        await pilot.press("y")
        await wait_until(pilot, lambda: "@ones" not in screen_text(pilot.app) and rows(pilot) == 12)
        assert "ones" not in (tmp_path / "views.toml").read_text("utf-8")


async def test_an_unknown_view(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.job(1)
    async with make_app().run_test(size=(120, 30)) as pilot:
        await wait_until(pilot, lambda: rows(pilot) == 1)
        await pilot.press("slash", *"@nosuch", "enter")
        await wait_for_text(pilot, "there is no view @nosuch (there are: @stuck)")
        assert rows(pilot) == 1


async def test_unreadable_views_are_notified(daemon: FakeDaemon, make_app: MakeApp, tmp_path: Path) -> None:
    (tmp_path / "views.toml").write_text("Stuck = 1\n", "utf-8")
    async with make_app().run_test(size=(160, 30), notifications=True) as pilot:
        await wait_for_text(pilot, "Stuck is not a view")


async def test_the_smallest_terminal_shows_only_the_list(daemon: FakeDaemon, make_app: MakeApp) -> None:
    for number in range(1, 31):
        daemon.job(number, status="FAILED")
    async with make_app().run_test(size=(60, 15)) as pilot:
        await wait_for_text(pilot, "octo-org/api#30")
        lines = screen_text(pilot.app).splitlines()
        assert lines[1].split() == ["ID", "STATE", "THREAD", "TIME"]
        assert sum("✗ failed" in line for line in lines) == 12
        assert all(len(line) <= 60 for line in lines)
        await pilot.press("4")
        await wait_for_text(pilot, "4 Failed 30")
        await pilot.press("enter")
        await wait_until(pilot, lambda: not isinstance(pilot.app.screen, JobsScreen))
