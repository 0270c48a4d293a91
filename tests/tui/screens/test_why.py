"""The screen of a decision, by keys."""

from tests.tui import documents
from tests.tui.fake_daemon import FakeDaemon
from tests.tui.screens.screen import MakeApp, screen_text, wait_for_text, wait_until
from tui.screens.jobs import JobsScreen
from tui.screens.why import WhyScreen


async def test_why_of_a_job(daemon: FakeDaemon, make_app: MakeApp) -> None:
    job = daemon.job(7)
    daemon.details[job["id"]] = {"decision": documents.DECISION}
    async with make_app().run_test(size=(120, 30)) as pilot:
        await wait_for_text(pilot, "api#7")
        await pilot.press("w")
        await wait_for_text(pilot, "DENIED")
        text = screen_text(pilot.app)
        assert "job 00000007  fix on octo-org/api#7 by source:github/octocat" in text
        assert "✗ who                     github:drive-by, wanted team or mosaic  rails.yaml:9" in text
        assert "to allow it: add github:drive-by to team (rails.yaml:9)" in text
        await pilot.press("escape")
        assert isinstance(pilot.app.screen, JobsScreen)


async def test_a_job_without_a_decision(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.job(7)
    async with make_app().run_test(size=(120, 30)) as pilot:
        await wait_for_text(pilot, "api#7")
        await pilot.press("w")
        await wait_for_text(pilot, "nothing is decided yet")
        assert isinstance(pilot.app.screen, WhyScreen)


async def test_the_decisive_line_of_the_rails_is_opened(daemon: FakeDaemon, make_app: MakeApp) -> None:
    job = daemon.job(7)
    decision = {**documents.DECISION, "remedy": {"text": "add her", "line": 6}}
    daemon.details[job["id"]] = {"decision": decision}
    async with make_app().run_test(size=(120, 30)) as pilot:
        await wait_for_text(pilot, "api#7")
        await pilot.press("w")
        await wait_for_text(pilot, "to allow it: add her", "R rails")
        assert "a approve" not in screen_text(pilot.app)
        await pilot.press("R")
        await wait_for_text(pilot, "▶   6     profile: weaver")
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, WhyScreen))
        await pilot.press("m")
        await wait_for_text(pilot, "Simulate which file?")


async def test_a_waiting_job_is_approved_from_its_decision(
    daemon: FakeDaemon,
    make_app: MakeApp,
) -> None:
    job = daemon.job(7, status="PENDING")
    daemon.details[job["id"]] = {"decision": documents.DECISION}
    async with make_app().run_test(size=(120, 40)) as pilot:
        await wait_for_text(pilot, "api#7")
        await pilot.press("w")
        await wait_for_text(pilot, "a approve  d deny")
        await pilot.press("a")
        await wait_for_text(pilot, "Approve 1 job?")
        await pilot.press("y")
        await wait_until(pilot, lambda: (f"POST /runner-jobs/{job['id']}/approve", {}) in daemon.requests)
        job["status"] = "RUNNING"
        daemon.commit_event("job.approved", job)
        await wait_for_text(pilot, absent="a approve")
