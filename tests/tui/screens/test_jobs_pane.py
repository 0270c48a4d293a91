"""How the daemon is, and the views of a user: what the list of jobs tells besides jobs."""

from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.tui.fake_daemon import FakeDaemon
from tests.tui.screens.screen import MakeApp, screen_text, stitcher_app, wait_for_text, wait_until
from tui.screens.jobs import JobsScreen
from tui.widgets.job_list import JobList


def rows(pilot: Pilot[None]) -> int:
    return int(pilot.app.screen_stack[0].query_one(JobList).count)


@pytest.mark.parametrize(
    ("cells", "shown", "hidden"),
    [
        (120, "▁▁▂▄▆▄▂█ 14/min   queue 3 · oldest 12s", "‖"),
        (80, "queue 3 · oldest 12s", "/min"),
        (60, "● live", "queue"),
    ],
)
async def test_how_work_goes(daemon: FakeDaemon, make_app: MakeApp, cells: int, shown: str, hidden: str) -> None:
    daemon.job(1)
    async with make_app().run_test(size=(cells, 20)) as pilot:
        await wait_until(
            pilot, lambda: stitcher_app(pilot).session.status.pulse and shown in screen_text(pilot.app).splitlines()[0]
        )
        assert hidden not in screen_text(pilot.app).splitlines()[0]


async def test_jobs_that_move_have_the_pulse_felt_again(daemon: FakeDaemon, make_app: MakeApp) -> None:
    job = daemon.job(1, status="RUNNING")
    async with make_app().run_test(size=(120, 20)) as pilot:
        await wait_for_text(pilot, "14/min")
        daemon.pulse = {**daemon.pulse, "ended": [0] * 7 + [15], "queued": 0, "oldestQueuedAt": None}
        daemon.commit_event("job.started", job)
        await wait_for_text(pilot, "15/min   queue 0")


async def test_pause_and_resume(daemon: FakeDaemon, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 30), notifications=True) as pilot:
        await wait_until(pilot, lambda: stitcher_app(pilot).session.status.pulse)
        await pilot.press("P")
        await wait_for_text(pilot, "Let no new jobs start?")
        await pilot.press("tab", *"a release", "enter")
        await wait_until(pilot, lambda: "‖ paused" in screen_text(pilot.app).splitlines()[0])
        assert ("POST /pause", {"reason": "a release"}) in daemon.requests
        assert "paused: 1 running, 3 queued" in screen_text(pilot.app)
        await pilot.press("t")
        await wait_until(pilot, lambda: not isinstance(pilot.app.screen, JobsScreen))
        assert "‖ paused" in screen_text(pilot.app).splitlines()[0]
        await pilot.press("P")
        await wait_for_text(pilot, "Let jobs start again?")
        assert "(a release)" in screen_text(pilot.app)
        await pilot.press("y")
        await wait_until(pilot, lambda: "‖ paused" not in screen_text(pilot.app).splitlines()[0])
        assert ("POST /resume", {}) in daemon.requests


async def test_a_daemon_that_is_not_well_says_what_is_missing(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.checks = [
        {"name": "daemon", "ok": True, "detail": "running", "since": "x"},
        {"name": "executor:openclaw", "ok": False, "detail": "connection \x1b refused", "since": "x"},
        {"name": "writer", "ok": False, "detail": "disk full", "since": "x"},
    ]
    async with make_app().run_test(size=(120, 30), notifications=True) as pilot:
        await wait_until(pilot, lambda: "✗ executor:openclaw +1" in screen_text(pilot.app).splitlines()[0])
        await pilot.click("#title", offset=(screen_text(pilot.app).splitlines()[0].index("executor:"), 0))
        await wait_for_text(pilot, "connection \\x1b refused", "disk full")


async def test_a_view_is_saved_shown_and_forgotten(daemon: FakeDaemon, make_app: MakeApp, tmp_path: Path) -> None:
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


async def test_a_view_that_there_is_not(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.job(1)
    async with make_app().run_test(size=(120, 30)) as pilot:
        await wait_until(pilot, lambda: rows(pilot) == 1)
        await pilot.press("slash", *"@nosuch", "enter")
        await wait_for_text(pilot, "there is no view @nosuch (there are: @stuck)")
        assert rows(pilot) == 1


async def test_views_that_cannot_be_read_are_said(daemon: FakeDaemon, make_app: MakeApp, tmp_path: Path) -> None:
    (tmp_path / "views.toml").write_text("Stuck = 1\n", "utf-8")
    async with make_app().run_test(size=(160, 30), notifications=True) as pilot:
        await wait_for_text(pilot, "Stuck is not a view")


async def test_the_smallest_terminal_has_the_list_alone(daemon: FakeDaemon, make_app: MakeApp) -> None:
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


async def test_what_was_not_done_to_all_is_told_job_by_job(daemon: FakeDaemon, make_app: MakeApp) -> None:
    failed = [daemon.job(number, status="FAILED") for number in (1, 2)]
    items = [{"id": failed[0]["id"], "ok": True, "status": "QUEUED"},
             {"id": failed[1]["id"], "ok": False, "status": "FAILED", "code": "conflict"}]  # fmt: skip
    daemon.bulk = {"matched": 2, "items": items}
    async with make_app().run_test(size=(120, 30), notifications=True) as pilot:
        await wait_until(pilot, lambda: rows(pilot) == 2)
        await pilot.press("A", "r")
        await wait_for_text(pilot, "Retry 1 job?")
        await pilot.press("y")
        await wait_for_text(pilot, "result for each job")
        text = screen_text(pilot.app)
        assert text.index("00000002  ✗ failed      not done: conflict") < text.index("00000001  ● queued")
