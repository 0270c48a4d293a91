"""The list of jobs, by keys: what is shown, what moves, and what does not."""

from typing import Any

import pytest

from tui.screens.dialogs import ConfirmDialog
from tui.widgets.job_list import JobList


def _jobs(pilot: Any) -> JobList:
    found = pilot.app.screen_stack[0].query_one(JobList)
    assert isinstance(found, JobList)
    return found


def _fill(daemon: Any, number: int) -> None:
    statuses = ("COMPLETED", "FAILED", "RUNNING", "QUEUED", "CANCELLED", "PENDING")
    for at in range(1, number + 1):
        daemon.job(at, status=statuses[at % 6], tries={"used": 1, "max": 3})


async def test_the_first_page_is_there(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    _fill(daemon, 12)
    async with app().run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "octo-org/api#12" in seen(pilot.app))
        text = seen(pilot.app)
        assert "1 All 12   2 Running 4   3 Waiting for you 2   4 Failed 2" in text
        assert "● live" in text
        await until(pilot, lambda: "rails r-4f2a91c0" in seen(pilot.app))


async def test_a_row_changes_when_its_event_comes_and_not_before(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    job = daemon.job(7, status="QUEUED", startedAt=None, completedAt=None)
    async with app().run_test(size=(120, 20)) as pilot:
        await until(pilot, lambda: "● queued" in seen(pilot.app))
        job["status"] = "RUNNING"
        await pilot.pause(0.3)
        assert "● queued" in seen(pilot.app)
        daemon.happen("job.started", job)
        await until(pilot, lambda: "▶ running" in seen(pilot.app))
        daemon.happen("step.started", job, name="tests", phase="VALIDATION")
        await until(pilot, lambda: "gate tests" in seen(pilot.app))


async def test_new_jobs_do_not_move_what_is_looked_at(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    _fill(daemon, 100)
    async with app().run_test(size=(120, 20)) as pilot:
        await until(pilot, lambda: _jobs(pilot).count == 100)
        await pilot.press("pagedown", "pagedown", "down")
        before = _jobs(pilot).current_id
        top = seen(pilot.app).splitlines()[5]
        for number in range(101, 106):
            daemon.happen("job.created", daemon.job(number))
        await until(pilot, lambda: "+5 new" in seen(pilot.app))
        assert _jobs(pilot).current_id == before
        assert seen(pilot.app).splitlines()[5] == top
        await pilot.press("home")
        await until(pilot, lambda: "new" not in seen(pilot.app).splitlines()[2].replace("↑newest", ""))
        assert _jobs(pilot).current_id == daemon.jobs[0]["id"]


async def test_at_the_top_the_newest_comes_in(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    _fill(daemon, 3)
    async with app().run_test(size=(120, 20)) as pilot:
        await until(pilot, lambda: _jobs(pilot).count == 3)
        daemon.happen("job.created", daemon.job(77))
        await until(pilot, lambda: "octo-org/api#77" in seen(pilot.app).splitlines()[5])
        assert _jobs(pilot).cursor == 0


async def test_further_pages_come_while_scrolling(daemon: Any, app: Any, until: Any) -> None:
    _fill(daemon, 900)
    async with app().run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: _jobs(pilot).count == 200)
        for known in (400, 600, 800, 900):
            await pilot.press("end")
            await until(pilot, lambda known=known: _jobs(pilot).count == known)
        await pilot.press("end")
        assert _jobs(pilot).current_id == daemon.jobs[-1]["id"]
        assert len([path for path, _ in daemon.asked if "before=" in path]) == 4


async def test_tabs(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    _fill(daemon, 12)
    async with app().run_test(size=(120, 20)) as pilot:
        await until(pilot, lambda: _jobs(pilot).count == 12)
        await pilot.press("4")
        await until(pilot, lambda: _jobs(pilot).count == 2)
        assert seen(pilot.app).count("✗ failed") == 2
        failed = daemon.jobs[0]
        failed["status"] = "FAILED"
        daemon.happen("job.failed", failed)
        await until(pilot, lambda: _jobs(pilot).count == 3)
        await pilot.press("escape")
        await until(pilot, lambda: _jobs(pilot).count == 12)


async def test_a_job_that_no_longer_fits_the_tab_goes(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    job = daemon.job(5, status="RUNNING")
    async with app().run_test(size=(120, 20)) as pilot:
        await pilot.press("2")
        await until(pilot, lambda: "api#5" in seen(pilot.app))
        job["status"] = "COMPLETED"
        daemon.happen("job.completed", job)
        await until(pilot, lambda: "the tab hides all 1 job" in seen(pilot.app))


async def test_the_filter_is_asked_of_the_daemon(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    _fill(daemon, 12)
    async with app().run_test(size=(120, 20)) as pilot:
        await until(pilot, lambda: _jobs(pilot).count == 12)
        await pilot.press("slash", *"api#1", "enter")
        await until(pilot, lambda: _jobs(pilot).count == 4)
        assert any("q=api%231" in path for path, _ in daemon.asked)
        assert "/ api#1" in seen(pilot.app)
        await pilot.press("slash", *"999", "enter")
        await until(pilot, lambda: "the filter hides all 12 jobs; esc shows them" in seen(pilot.app))
        await pilot.press("escape")
        await until(pilot, lambda: _jobs(pilot).count == 12)


async def test_a_filter_that_is_not_understood_shows_where(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    _fill(daemon, 3)
    async with app().run_test(size=(120, 20)) as pilot:
        await until(pilot, lambda: _jobs(pilot).count == 3)
        await pilot.press("slash", *"stat:x", "enter")
        await until(pilot, lambda: "did you mean state?" in seen(pilot.app))
        lines = seen(pilot.app).splitlines()
        at = next(at for at, line in enumerate(lines) if "did you mean" in line)
        assert lines[at].index("▲") == lines[at - 1].index("stat:x")
        daemon.happen("job.started", daemon.jobs[0])
        await pilot.press("escape")
        await until(pilot, lambda: _jobs(pilot).count == 3 and "did you mean" not in seen(pilot.app))


async def test_escape_leaves_the_filter_as_it_was(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    _fill(daemon, 3)
    async with app().run_test(size=(120, 20)) as pilot:
        await until(pilot, lambda: _jobs(pilot).count == 3)
        await pilot.press("slash", *"api", "escape")
        await until(pilot, lambda: "/ no filter" in seen(pilot.app))
        await pilot.press("j")
        assert _jobs(pilot).cursor == 1


async def test_cancel_asks_and_only_y_is_yes(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    job = daemon.job(9, status="RUNNING")
    async with app().run_test(size=(120, 20), notifications=True) as pilot:
        await until(pilot, lambda: "▶ running" in seen(pilot.app))
        for no in ("n", "escape", "enter", "Y"):
            await pilot.press("c")
            await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog))
            assert "▶ running     fix on octo-org/api#9" in seen(pilot.app)
            await pilot.press(no)
            await until(pilot, lambda: not isinstance(pilot.app.screen, ConfirmDialog))
        assert not [path for path, _ in daemon.asked if path.startswith("POST")]
        await pilot.press("c", "y")
        await until(pilot, lambda: [path for path, _ in daemon.asked if path.startswith("POST")])
        assert "▶ running" in seen(pilot.app)
        job["status"] = "CANCELLED"
        daemon.happen("job.cancelled", job)
        await until(pilot, lambda: "⊘ cancelled" in seen(pilot.app) and "is cancelled" in seen(pilot.app))


async def test_what_cannot_be_done_is_not_offered(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    daemon.job(1, status="COMPLETED")
    async with app().run_test(size=(120, 20)) as pilot:
        await until(pilot, lambda: "✓ completed" in seen(pilot.app))
        hints = seen(pilot.app).splitlines()[-1]
        assert "cancel" not in hints
        assert "retry" not in hints
        await pilot.press("c", "r")
        assert not isinstance(pilot.app.screen, ConfirmDialog)


async def test_several_jobs_at_once(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    _fill(daemon, 12)
    async with app().run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: _jobs(pilot).count == 12)
        await pilot.press(*["space"] * 6)
        await until(pilot, lambda: "6 selected · c cancel 3 · r retry 2" in seen(pilot.app))
        await pilot.press("r")
        await until(pilot, lambda: "Retry 2 jobs?" in seen(pilot.app))
        await pilot.press("y")
        await until(pilot, lambda: len([path for path, _ in daemon.asked if path.endswith("/retry")]) == 2)
        await pilot.press("escape")
        await until(pilot, lambda: "selected" not in seen(pilot.app))


async def test_a_range_from_the_last_mark(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    _fill(daemon, 12)
    async with app().run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: _jobs(pilot).count == 12)
        await pilot.press("v")
        assert not _jobs(pilot).marked
        await pilot.press("j", "j", "space", "j", "j", "j", "v")
        await until(pilot, lambda: "5 selected" in seen(pilot.app))
        await pilot.press("space", "g", "v")
        await until(pilot, lambda: "6 selected" in seen(pilot.app))


async def test_d_is_deliveries_where_nothing_waits(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    daemon.job(1, status="RUNNING")
    async with app().run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: "d deliveries" in seen(pilot.app))
        await pilot.press("d")
        await until(pilot, lambda: type(pilot.app.screen).__name__ == "DeliveriesScreen")


async def test_all_that_fit(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    _fill(daemon, 300)
    async with app().run_test(size=(120, 30), notifications=True) as pilot:
        await until(pilot, lambda: _jobs(pilot).count == 200)
        await pilot.press("4", "slash", *"octo", "enter", "A", "r")
        await until(pilot, lambda: "Retry 50 jobs?" in seen(pilot.app))
        assert "state:failed octo" in seen(pilot.app)
        await pilot.press("y")
        await until(pilot, lambda: "retry: 50 jobs" in seen(pilot.app))
        bodies = [body for path, body in daemon.asked if path == "POST /runner-jobs/bulk"]
        assert bodies == [{"action": "retry", "q": "state:failed octo", "dryRun": dry} for dry in (True, False)]
        await pilot.press("escape", "A", "escape")
        await until(pilot, lambda: "all that fit" not in seen(pilot.app))


async def test_a_refusal_is_said(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    job = daemon.job(1, status="RUNNING")
    async with app().run_test(size=(120, 30), notifications=True) as pilot:
        await until(pilot, lambda: "▶ running" in seen(pilot.app))
        job["status"] = "COMPLETED"
        await pilot.press("c", "y")
        await until(pilot, lambda: "job is COMPLETED" in seen(pilot.app))


async def test_the_daemon_goes_and_comes_back(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    job = daemon.job(1, status="RUNNING")
    async with app().run_test(size=(120, 20)) as pilot:
        await until(pilot, lambda: "▶ running" in seen(pilot.app))
        daemon.cut()
        await until(pilot, lambda: "daemon not reachable for 00:00" in seen(pilot.app))
        assert "▶ running" in seen(pilot.app)
        assert "○ lost" in seen(pilot.app)
        assert _jobs(pilot).faded
        job["status"] = "COMPLETED"
        daemon.happen("job.completed", job)
        daemon.deaf = False
        await until(pilot, lambda: "✓ completed" in seen(pilot.app))
        assert "not reachable" not in seen(pilot.app)
        assert not _jobs(pilot).faded


async def test_no_daemon_from_the_beginning(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    daemon.deaf = True
    async with app().run_test(size=(160, 20)) as pilot:
        await until(pilot, lambda: "start it with: stitcherd" in seen(pilot.app))
        daemon.job(3)
        daemon.deaf = False
        await until(pilot, lambda: "api#3" in seen(pilot.app))


async def test_no_jobs_yet(app: Any, until: Any, seen: Any) -> None:
    async with app().run_test(size=(120, 20)) as pilot:
        await until(pilot, lambda: "no jobs yet" in seen(pilot.app))


async def test_text_from_outside_is_not_obeyed(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    error = {"code": "x", "detail": "[bold]\x1b[2J[/bold] \u202eevil", "hint": None}
    daemon.job(1, status="FAILED", type="[red]x", repository="a/[@click=app.quit]b", error=error)
    async with app().run_test(size=(160, 20)) as pilot:
        await until(pilot, lambda: "[bold]\\x1b[2J[/bold] \\u202eevil" in seen(pilot.app))
        assert "[red]x" in seen(pilot.app)


async def test_copy_goes_through_the_terminal(daemon: Any, app: Any, until: Any) -> None:
    job = daemon.job(1)
    async with app().run_test(size=(120, 20)) as pilot:
        await until(pilot, lambda: _jobs(pilot).count == 1)
        await pilot.press("y")
        assert pilot.app.clipboard == job["id"]


async def test_the_mouse(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    _fill(daemon, 12)
    async with app().run_test(size=(120, 20)) as pilot:
        await until(pilot, lambda: _jobs(pilot).count == 12)
        await pilot.click("#jobs", offset=(5, 3))
        assert _jobs(pilot).cursor == 3
        tab = seen(pilot.app).splitlines()[1].index("Failed")
        await pilot.click("#tabs", offset=(tab, 0))
        await until(pilot, lambda: _jobs(pilot).count == 2)


async def test_small_terminals(daemon: Any, app: Any, until: Any, seen: Any) -> None:
    daemon.job(1)
    async with app().run_test(size=(60, 15)) as pilot:
        await until(pilot, lambda: "octo-org/api#1" in seen(pilot.app))
        assert all(len(line) <= 60 for line in seen(pilot.app).splitlines())
        await pilot.resize_terminal(50, 10)
        await until(pilot, lambda: "at least 60 by 15" in seen(pilot.app))


async def test_a_tab_asked_for_while_the_daemon_is_gone_is_filled_later(
    daemon: Any, app: Any, until: Any, seen: Any
) -> None:
    _fill(daemon, 12)
    async with app(pauses=(0.3,)).run_test(size=(120, 20)) as pilot:
        await until(pilot, lambda: _jobs(pilot).count == 12)
        daemon.cut()
        await pilot.press("4")
        await until(pilot, lambda: "not reachable" in seen(pilot.app))
        daemon.deaf = False
        await until(pilot, lambda: _jobs(pilot).count == 2)


async def test_the_first_page_is_asked_for_once(daemon: Any, app: Any, until: Any) -> None:
    _fill(daemon, 12)
    async with app().run_test(size=(120, 20)) as pilot:
        await until(pilot, lambda: _jobs(pilot).count == 12)
        await pilot.pause(0.3)
        assert [path for path, _ in daemon.asked if path.startswith("GET /runner-jobs")] == [
            "GET /runner-jobs?limit=200"
        ]


async def test_without_colours_a_state_is_still_a_glyph_and_a_word(
    daemon: Any, app: Any, until: Any, seen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    daemon.job(1, status="FAILED")
    async with app().run_test(size=(120, 20)) as pilot:
        await until(pilot, lambda: "✗ failed" in seen(pilot.app))
        assert pilot.app.no_color


@pytest.mark.parametrize("theme", ["textual-light", "nord", "textual-ansi"])
async def test_themes(daemon: Any, app: Any, until: Any, seen: Any, theme: str) -> None:
    daemon.job(1, status="FAILED")
    async with app().run_test(size=(120, 20)) as pilot:
        await until(pilot, lambda: "✗ failed" in seen(pilot.app))
        if theme in pilot.app.available_themes:
            pilot.app.theme = theme
        await pilot.pause()
        assert "✗ failed" in seen(pilot.app)
