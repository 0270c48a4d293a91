"""How the daemon is, and the views of a user: what the list of jobs tells besides jobs."""

from pathlib import Path
from typing import Any

import pytest

from tui.screens.jobs import JobsScreen
from tui.widgets.job_list import JobList


def rows(pilot: Any) -> int:
    return int(pilot.app.screen_stack[0].query_one(JobList).count)


@pytest.mark.parametrize(
    ("cells", "shown", "hidden"),
    [
        (120, "▁▁▂▄▆▄▂█ 14/min   queue 3 · oldest 12s", "‖"),
        (80, "queue 3 · oldest 12s", "/min"),
        (60, "● live", "queue"),
    ],
)
async def test_how_work_goes(daemon: Any, app: Any, until: Any, seen: Any, cells: int, shown: str, hidden: str) -> None:
    daemon.job(1)
    async with app().run_test(size=(cells, 20)) as pilot:
        await until(pilot, lambda: pilot.app.vitals.pulse and shown in seen(pilot.app).splitlines()[0])
        assert hidden not in seen(pilot.app).splitlines()[0]


async def test_jobs_that_move_have_the_pulse_felt_again(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    job = daemon.job(1, status="RUNNING")
    async with app().run_test(size=(120, 20)) as pilot:
        await until(pilot, lambda: "14/min" in seen(pilot.app))
        daemon.pulse = {**daemon.pulse, "ended": [0] * 7 + [15], "queued": 0, "oldestQueuedAt": None}
        daemon.happen("job.started", job)
        await until(pilot, lambda: "15/min   queue 0" in seen(pilot.app))


async def test_pause_and_resume(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    async with app().run_test(size=(120, 30), notifications=True) as pilot:
        await until(pilot, lambda: pilot.app.vitals.pulse)
        await pilot.press("P")
        await until(pilot, lambda: "Let nothing new start?" in seen(pilot.app))
        await pilot.press("tab", *"a release", "enter")
        await until(pilot, lambda: "‖ paused" in seen(pilot.app).splitlines()[0])
        assert ("POST /pause", {"reason": "a release"}) in daemon.asked
        assert "paused: 1 running, 3 queued" in seen(pilot.app)
        await pilot.press("t")
        await until(pilot, lambda: not isinstance(pilot.app.screen, JobsScreen))
        assert "‖ paused" in seen(pilot.app).splitlines()[0]
        await pilot.press("P")
        await until(pilot, lambda: "Let jobs start again?" in seen(pilot.app))
        assert "(a release)" in seen(pilot.app)
        await pilot.press("y")
        await until(pilot, lambda: "‖ paused" not in seen(pilot.app).splitlines()[0])
        assert ("POST /resume", {}) in daemon.asked


async def test_a_daemon_that_is_not_well_says_what_is_missing(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    daemon.checks = [
        {"name": "daemon", "ok": True, "detail": "running", "since": "x"},
        {"name": "executor:openclaw", "ok": False, "detail": "connection \x1b refused", "since": "x"},
        {"name": "writer", "ok": False, "detail": "disk full", "since": "x"},
    ]
    async with app().run_test(size=(120, 30), notifications=True) as pilot:
        await until(pilot, lambda: "✗ executor:openclaw +1" in seen(pilot.app).splitlines()[0])
        await pilot.click("#title", offset=(seen(pilot.app).splitlines()[0].index("executor:"), 0))
        await until(pilot, lambda: "connection \\x1b refused" in seen(pilot.app) and "disk full" in seen(pilot.app))


async def test_a_view_is_saved_shown_and_forgotten(
    daemon: Any, app: Any, until: Any, seen: Any, tmp_path: Path
) -> None:
    for number in range(1, 13):
        daemon.job(number, status="FAILED" if number % 2 else "COMPLETED")
    async with app().run_test(size=(120, 30), notifications=True) as pilot:
        await until(pilot, lambda: rows(pilot) == 12 and "5 @stuck" in seen(pilot.app))
        await pilot.press("4", "slash", *"api#1", "enter")
        await until(pilot, lambda: rows(pilot) == 2 and "S save as view" in seen(pilot.app))
        await pilot.press("S")
        await until(pilot, lambda: "Save this as a view?" in seen(pilot.app))
        await pilot.press(*"Ones", "enter")
        await until(pilot, lambda: "Ones is no name for a view" in seen(pilot.app))
        await pilot.press("S")
        await until(pilot, lambda: "Save this as a view?" in seen(pilot.app))
        await pilot.press(*"@ones", "enter")
        await until(pilot, lambda: "5 @stuck   6 @ones" in seen(pilot.app))
        assert 'ones = "state:failed api#1"\n' in (tmp_path / "views.toml").read_text("utf-8")
        assert any("q=state%3Afailed+api%231" in path for path, _ in daemon.asked)
        await pilot.press("1", "slash", *"@on", "tab", "enter")
        await until(pilot, lambda: "/ state:failed api#1" in seen(pilot.app))
        await pilot.press("escape", "6", "X")
        await until(pilot, lambda: "Forget the view @ones?" in seen(pilot.app))
        await pilot.press("y")
        await until(pilot, lambda: "@ones" not in seen(pilot.app) and rows(pilot) == 12)
        assert "ones" not in (tmp_path / "views.toml").read_text("utf-8")


async def test_a_view_that_there_is_not(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    daemon.job(1)
    async with app().run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: rows(pilot) == 1)
        await pilot.press("slash", *"@nosuch", "enter")
        await until(pilot, lambda: "there is no view @nosuch (there are: @stuck)" in seen(pilot.app))
        assert rows(pilot) == 1


async def test_views_that_cannot_be_read_are_said(daemon: Any, app: Any, until: Any, seen: Any, tmp_path: Path) -> None:
    (tmp_path / "views.toml").write_text("Stuck = 1\n", "utf-8")
    async with app().run_test(size=(160, 30), notifications=True) as pilot:
        await until(pilot, lambda: "Stuck is no view" in seen(pilot.app))


async def test_the_smallest_terminal_has_the_list_alone(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    for number in range(1, 31):
        daemon.job(number, status="FAILED")
    async with app().run_test(size=(60, 15)) as pilot:
        await until(pilot, lambda: "octo-org/api#30" in seen(pilot.app))
        lines = seen(pilot.app).splitlines()
        assert lines[1].split() == ["ID", "STATE", "THREAD", "TIME"]
        assert sum("✗ failed" in line for line in lines) == 12
        assert all(len(line) <= 60 for line in lines)
        await pilot.press("4")
        await until(pilot, lambda: "4 Failed 30" in seen(pilot.app))
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(pilot.app.screen, JobsScreen))


async def test_what_was_not_done_to_all_is_told_job_by_job(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    failed = [daemon.job(number, status="FAILED") for number in (1, 2)]
    items = [{"id": failed[0]["id"], "ok": True, "status": "QUEUED"},
             {"id": failed[1]["id"], "ok": False, "status": "FAILED", "code": "conflict"}]  # fmt: skip
    daemon.bulk = {"matched": 2, "items": items}
    async with app().run_test(size=(120, 30), notifications=True) as pilot:
        await until(pilot, lambda: rows(pilot) == 2)
        await pilot.press("A", "r")
        await until(pilot, lambda: "Retry 1 job?" in seen(pilot.app))
        await pilot.press("y")
        await until(pilot, lambda: "what became of each" in seen(pilot.app))
        text = seen(pilot.app)
        assert text.index("00000002  ✗ failed      not done: conflict") < text.index("00000001  ● queued")
