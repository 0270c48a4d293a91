"""The list of jobs, by keys: what is shown, what moves, and what does not."""

from functools import partial

from textual.pilot import Pilot

from tests.tui.fake_daemon import FakeDaemon
from tests.tui.screens.screen import MakeApp, job_list, screen_text, sort_by_age, wait_for_text, wait_until


async def test_the_first_page_is_there(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.fill(12)
    async with make_app().run_test(size=(120, 40)) as pilot:
        await wait_for_text(pilot, "octo-org/api#12")
        text = screen_text(pilot.app)
        assert "1 All 12   2 Running 2   3 Waiting for you 2   4 Failed 2" in text
        assert "● live" in text
        await wait_for_text(pilot, "rails r-4f2a91c0")


async def test_a_row_changes_with_its_event_and_not_before(daemon: FakeDaemon, make_app: MakeApp) -> None:
    job = daemon.job(7, status="QUEUED", startedAt=None, completedAt=None)
    async with make_app().run_test(size=(120, 20)) as pilot:
        await wait_for_text(pilot, "● queued")
        job["status"] = "RUNNING"
        await pilot.pause(0.3)
        assert "● queued" in screen_text(pilot.app)
        daemon.commit_event("job.started", job)
        await wait_for_text(pilot, "▶ running")
        job["currentStep"] = {"name": "tests", "type": "GATE", "startedAt": job["startedAt"], "timeoutMs": None}
        daemon.commit_event("step.started", job, name="tests", phase="VALIDATION")
        await wait_for_text(pilot, "gate tests")
        daemon.commit_event("step.output", job, text="collected 12 items\n")
        await wait_for_text(pilot, "collected 12")


async def test_new_jobs_do_not_move_the_visible_rows(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.fill(100)
    async with make_app().run_test(size=(120, 20)) as pilot:
        await sort_by_age(pilot)
        await wait_until(pilot, lambda: job_list(pilot).count == 100)
        await pilot.press("pagedown", "pagedown", "down")
        before = job_list(pilot).current_id
        top = screen_text(pilot.app).splitlines()[5]
        for number in range(101, 106):
            daemon.commit_event("job.created", daemon.job(number))
        await wait_for_text(pilot, "+5 new")
        assert job_list(pilot).current_id == before
        assert screen_text(pilot.app).splitlines()[5] == top
        await pilot.press("home")
        await wait_until(pilot, lambda: "new" not in screen_text(pilot.app).splitlines()[2].replace("↑newest", ""))
        assert job_list(pilot).current_id == daemon.jobs[0]["id"]


async def test_new_jobs_appear_at_the_top(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.fill(3)
    async with make_app().run_test(size=(120, 20)) as pilot:
        await sort_by_age(pilot)
        await wait_until(pilot, lambda: job_list(pilot).count == 3)
        daemon.commit_event("job.created", daemon.job(77))
        await wait_until(pilot, lambda: "octo-org/api#77" in screen_text(pilot.app).splitlines()[5])
        assert job_list(pilot).cursor == 0


def _has_jobs(pilot: Pilot[None], count: int) -> bool:
    return job_list(pilot).count == count


async def test_further_pages_are_requested_while_scrolling(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.fill(900)
    async with make_app().run_test(size=(120, 40)) as pilot:
        await sort_by_age(pilot)
        await wait_until(pilot, partial(_has_jobs, pilot, 200))
        for known in (400, 600, 800, 900):
            await pilot.press("end")
            await wait_until(pilot, partial(_has_jobs, pilot, known))
        await pilot.press("end")
        assert job_list(pilot).current_id == daemon.jobs[-1]["id"]
        assert len([path for path, _ in daemon.requests if "before=" in path]) == 4


async def test_tabs(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.fill(12)
    async with make_app().run_test(size=(120, 20)) as pilot:
        await wait_until(pilot, lambda: job_list(pilot).count == 12)
        await pilot.press("4")
        await wait_until(pilot, lambda: job_list(pilot).count == 2)
        assert screen_text(pilot.app).count("✗ failed") == 2
        failed = daemon.jobs[0]
        failed["status"] = "FAILED"
        daemon.commit_event("job.failed", failed)
        await wait_until(pilot, lambda: job_list(pilot).count == 3)
        await pilot.press("escape")
        await wait_until(pilot, lambda: job_list(pilot).count == 12)


async def test_a_job_leaves_a_tab_it_no_longer_matches(daemon: FakeDaemon, make_app: MakeApp) -> None:
    job = daemon.job(5, status="RUNNING")
    async with make_app().run_test(size=(120, 20)) as pilot:
        await pilot.press("2")
        await wait_for_text(pilot, "api#5")
        job["status"] = "COMPLETED"
        daemon.commit_event("job.completed", job)
        await wait_for_text(pilot, "the tab hides all 1 job")


async def test_the_daemon_filters(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.fill(12)
    async with make_app().run_test(size=(120, 20)) as pilot:
        await wait_until(pilot, lambda: job_list(pilot).count == 12)
        await pilot.press("slash", *"api#1", "enter")
        await wait_until(pilot, lambda: job_list(pilot).count == 4)
        assert any("q=api%231" in path for path, _ in daemon.requests)
        assert "/ api#1" in screen_text(pilot.app)
        await pilot.press("slash", *"999", "enter")
        await wait_for_text(pilot, "the filter hides all 12 jobs; esc shows them")
        await pilot.press("escape")
        await wait_until(pilot, lambda: job_list(pilot).count == 12)


async def test_the_error_in_a_filter_is_shown_below_its_place(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.fill(3)
    async with make_app().run_test(size=(120, 20)) as pilot:
        await wait_until(pilot, lambda: job_list(pilot).count == 3)
        await pilot.press("slash", *"stat:x", "enter")
        await wait_for_text(pilot, "did you mean state?")
        lines = screen_text(pilot.app).splitlines()
        at = next(at for at, line in enumerate(lines) if "did you mean" in line)
        assert lines[at].index("▲") == lines[at - 1].index("stat:x")
        daemon.commit_event("job.started", daemon.jobs[0])
        await pilot.press("escape")
        await wait_until(pilot, lambda: job_list(pilot).count == 3 and "did you mean" not in screen_text(pilot.app))


async def test_escape_keeps_the_filter(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.fill(3)
    async with make_app().run_test(size=(120, 20)) as pilot:
        await wait_until(pilot, lambda: job_list(pilot).count == 3)
        await pilot.press("slash", *"api", "escape")
        await wait_for_text(pilot, "/ no filter")
        await pilot.press("j")
        assert job_list(pilot).cursor == 1


async def test_no_jobs_yet(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 20)) as pilot:
        await wait_for_text(pilot, "no jobs yet")


async def test_control_characters_and_markup_have_no_effect(daemon: FakeDaemon, make_app: MakeApp) -> None:
    error = {"code": "x", "detail": "[bold]\x1b[2J[/bold] \u202eevil", "hint": None}
    daemon.job(1, status="FAILED", type="[red]x", repository="a/[@click=app.quit]b", error=error)
    async with make_app().run_test(size=(160, 20)) as pilot:
        await wait_for_text(pilot, "[bold]\\x1b[2J[/bold] \\u202eevil")
        assert "[red]x" in screen_text(pilot.app)


async def test_the_mouse(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.fill(12)
    async with make_app().run_test(size=(120, 20)) as pilot:
        await wait_until(pilot, lambda: job_list(pilot).count == 12)
        await pilot.click("#jobs", offset=(5, 3))
        assert job_list(pilot).cursor == 3
        tab = screen_text(pilot.app).splitlines()[1].index("Failed")
        await pilot.click("#tabs", offset=(tab, 0))
        await wait_until(pilot, lambda: job_list(pilot).count == 2)


async def test_a_tab_opened_without_the_daemon_is_filled_later(
    daemon: FakeDaemon,
    make_app: MakeApp,
) -> None:
    daemon.fill(12)
    async with make_app(pauses=(0.3,)).run_test(size=(120, 20)) as pilot:
        await wait_until(pilot, lambda: job_list(pilot).count == 12)
        daemon.disconnect()
        await pilot.press("4")
        await wait_for_text(pilot, "not reachable")
        daemon.unreachable = False
        await wait_until(pilot, lambda: job_list(pilot).count == 2)


async def test_the_first_page_is_requested_once(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.fill(12)
    async with make_app().run_test(size=(120, 20)) as pilot:
        await wait_until(pilot, lambda: job_list(pilot).count == 12)
        await pilot.pause(0.3)
        assert [path for path, _ in daemon.requests if path.startswith("GET /runner-jobs")] == [
            "GET /runner-jobs?limit=200"
        ]
