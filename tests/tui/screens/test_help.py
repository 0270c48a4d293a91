"""The list of keys."""

from tests.tui.fake_daemon import FakeDaemon
from tests.tui.screens.screen import MakeApp, screen_text, wait_for_text, wait_until
from tui.screens.jobs import JobsScreen


async def test_keys_are_read_from_the_bindings(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.job(7, status="RUNNING")
    async with make_app().run_test(size=(120, 60)) as pilot:
        await wait_for_text(pilot, "api#7")
        await pilot.press("question_mark")
        await wait_for_text(pilot, "Keys of this screen")
        shown = screen_text(pilot.app)
        for key, what in (("c", "cancel"), ("down j", "down"), ("e", "export as JSON lines"), ("^p", "palette")):
            assert any(key in line and what in line for line in shown.splitlines()), what
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, JobsScreen))
