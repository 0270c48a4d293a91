"""Selected jobs, by keys: which they are, what is offered for them, and what is sent."""

import pytest

from tests.tui.fake_daemon import FakeDaemon
from tests.tui.screens.screen import MakeApp, job_list, screen_text, sort_by_age, wait_for_text, wait_until
from tui.screens.dialogs import ConfirmDialog
from tui.screens.jobs import JobsScreen


async def test_only_y_confirms_a_cancel(daemon: FakeDaemon, make_app: MakeApp) -> None:
    job = daemon.job(9, status="RUNNING")
    async with make_app().run_test(size=(120, 20), notifications=True) as pilot:
        await wait_for_text(pilot, "▶ running")
        for no in ("n", "escape", "enter", "Y"):
            await pilot.press("c")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog))
            assert "▶ running     fix on octo-org/api#9" in screen_text(pilot.app)
            await pilot.press(no)
            await wait_until(pilot, lambda: not isinstance(pilot.app.screen, ConfirmDialog))
        assert not [path for path, _ in daemon.requests if path.startswith("POST")]
        await pilot.press("c", "y")
        await wait_until(pilot, lambda: [path for path, _ in daemon.requests if path.startswith("POST")])
        assert "▶ running" in screen_text(pilot.app)
        job["status"] = "CANCELLED"
        daemon.commit_event("job.cancelled", job)
        await wait_for_text(pilot, "⊘ cancelled", "is cancelled")


async def test_impossible_actions_are_not_offered(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.job(1, status="COMPLETED")
    async with make_app().run_test(size=(120, 20)) as pilot:
        await wait_for_text(pilot, "✓ completed")
        hints = screen_text(pilot.app).splitlines()[-1]
        assert "cancel" not in hints
        assert "retry" not in hints
        await pilot.press("c", "r")
        assert not isinstance(pilot.app.screen, ConfirmDialog)


async def test_marked_jobs_are_retried_together(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.fill(12)
    async with make_app().run_test(size=(120, 30)) as pilot:
        await sort_by_age(pilot)
        await wait_until(pilot, lambda: job_list(pilot).count == 12)
        await pilot.press(*["space"] * 6)
        await wait_for_text(pilot, "6 selected · c cancel 3 · r retry 2")
        await pilot.press("r")
        await wait_for_text(pilot, "Retry 2 jobs?")
        await pilot.press("y")
        await wait_until(pilot, lambda: len([path for path, _ in daemon.requests if path.endswith("/retry")]) == 2)
        await pilot.press("escape")
        await wait_for_text(pilot, absent="selected")


async def test_a_range_is_marked(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.fill(12)
    async with make_app().run_test(size=(120, 30)) as pilot:
        await wait_until(pilot, lambda: job_list(pilot).count == 12)
        await pilot.press("v")
        assert not job_list(pilot).marked
        await pilot.press("j", "j", "space", "j", "j", "j", "v")
        await wait_for_text(pilot, "5 selected")
        await pilot.press("space", "g", "v")
        await wait_for_text(pilot, "6 selected")


@pytest.mark.parametrize("status", ["RUNNING", "PENDING"])
async def test_deliveries_and_deny_are_different_keys(daemon: FakeDaemon, make_app: MakeApp, status: str) -> None:
    daemon.job(1, status=status)
    async with make_app().run_test(size=(120, 30)) as pilot:
        await wait_for_text(pilot, "D deliveries")
        await pilot.press("d")
        if status == "PENDING":
            await wait_for_text(pilot, "Deny 1 job?")
            await pilot.press("escape")
        assert isinstance(pilot.app.screen, JobsScreen)
        await pilot.press("D")
        await wait_until(pilot, lambda: type(pilot.app.screen).__name__ == "DeliveriesScreen")


async def test_all_matching_jobs_are_retried(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.fill(300)
    async with make_app().run_test(size=(120, 30), notifications=True) as pilot:
        await sort_by_age(pilot)
        await wait_until(pilot, lambda: job_list(pilot).count == 200)
        await pilot.press("4", "slash", *"octo", "enter", "A", "r")
        await wait_for_text(pilot, "Retry 50 jobs?")
        assert "state:failed octo" in screen_text(pilot.app)
        await pilot.press("y")
        await wait_for_text(pilot, "retry: 50 jobs")
        bodies = [body for path, body in daemon.requests if path == "POST /runner-jobs/bulk"]
        assert bodies == [{"action": "retry", "q": "state:failed octo", "dryRun": dry} for dry in (True, False)]
        await pilot.press("escape", "A", "escape")
        await wait_for_text(pilot, absent="all that fit")


async def test_a_refused_action_is_notified(daemon: FakeDaemon, make_app: MakeApp) -> None:
    job = daemon.job(1, status="RUNNING")
    async with make_app().run_test(size=(120, 30), notifications=True) as pilot:
        await wait_for_text(pilot, "▶ running")
        job["status"] = "COMPLETED"
        await pilot.press("c", "y")
        await wait_for_text(pilot, "job is COMPLETED")


async def test_the_id_is_copied(daemon: FakeDaemon, make_app: MakeApp) -> None:
    job = daemon.job(1)
    async with make_app().run_test(size=(120, 20)) as pilot:
        await wait_until(pilot, lambda: job_list(pilot).count == 1)
        await pilot.press("y")
        assert pilot.app.clipboard == job["id"]


async def test_all_jobs_are_cancelled_or_retried_without_a_filter(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.fill(12)
    async with make_app().run_test(size=(120, 30), notifications=True) as pilot:
        await wait_until(pilot, lambda: job_list(pilot).count == 12)
        await pilot.press("A")
        await wait_for_text(pilot, "all 12 selected · c cancel 6 · r retry 4")
        assert screen_text(pilot.app).count("▌") == 12
        for key, verb, filter_ in (("c", "cancel", "is:open"), ("r", "retry", "state:failed,cancelled")):
            daemon.requests.clear()
            await pilot.press(key)
            await wait_for_text(pilot, f"{verb.capitalize()} 2 jobs?", filter_)
            await pilot.press("y")
            await wait_for_text(pilot, f"{verb}: 2 jobs")
            bodies = [body for path, body in daemon.requests if path == "POST /runner-jobs/bulk"]
            assert bodies == [{"action": verb, "q": filter_, "dryRun": dry} for dry in (True, False)]


async def test_what_no_job_of_a_tab_allows_is_not_offered(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.fill(12)
    async with make_app().run_test(size=(120, 30)) as pilot:
        await wait_until(pilot, lambda: job_list(pilot).count == 12)
        await pilot.press("4", "A")
        await wait_for_text(pilot, "all 2 selected · r retry 2 ")
        assert "c cancel" not in screen_text(pilot.app)
        await pilot.press("slash", *"octo", "enter", "A")
        await wait_for_text(pilot, "all 2 selected · c cancel · r retry ")
