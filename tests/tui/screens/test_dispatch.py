"""The form that creates a job."""

from tests.tui import documents
from tests.tui.fake_daemon import FakeDaemon
from tests.tui.screens.screen import MakeApp, wait_for_text, wait_until
from tui.screens.job import JobScreen
from tui.screens.jobs import JobsScreen


async def test_a_dispatched_job_is_opened(daemon: FakeDaemon, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await wait_for_text(pilot, "no jobs yet")
        await pilot.press("plus")
        await wait_for_text(pilot, "Dispatch a job")
        await pilot.press(*"fix", "tab", *"octo-org/api", "tab", "tab", *"do it", "ctrl+s")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, JobScreen))
        body = next(body for path, body in daemon.requests if path == "POST /runner-jobs")
        assert body == {"type": "fix", "repository": "octo-org/api", "prompt": "do it"}


async def test_a_denied_dispatch_shows_the_decision(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.dispatch_error = documents.problem(403, "denied", "the rails deny it", decision=documents.DECISION)
    async with make_app().run_test(size=(120, 40)) as pilot:
        await pilot.press("plus")
        await wait_for_text(pilot, "Dispatch a job")
        await pilot.press(*"fix", "ctrl+s")
        await wait_for_text(pilot, "there is nothing to do: give a repository or a prompt")
        assert not [path for path, _ in daemon.requests if path == "POST /runner-jobs"]
        await pilot.press("tab", *"octo-org/api", "ctrl+s")
        await wait_for_text(pilot, "the rails deny it", "to allow it")
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, JobsScreen))
