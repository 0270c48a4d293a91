"""The simulation of a rails file, by keys."""

from pathlib import Path

from tests.tui import documents
from tests.tui.documents import Document
from tests.tui.fake_daemon import FakeDaemon
from tests.tui.screens.screen import MakeApp, screen_text, stitcher_app, wait_for_text, wait_until
from tui.screens.dialogs import ReportDialog
from tui.screens.rails import RailsScreen
from tui.screens.why import WhyScreen


async def test_the_changes_of_an_edited_file(
    daemon: FakeDaemon, simulation: Document, make_app: MakeApp, tmp_path: Path
) -> None:
    (tmp_path / "rails.yaml").write_text("version: 2\n", "utf-8")
    async with make_app().run_test(size=(120, 40)) as pilot:
        await wait_until(pilot, lambda: stitcher_app(pilot).session.connection.live)
        await pilot.press("R", "m")
        await wait_for_text(pilot, "Simulate which file?")
        await pilot.press("enter")
        await wait_for_text(pilot, "3 now denied, 1 newly allowed, of 1,000 deliveries")
        assert ("POST /rails/simulate", {"text": "version: 2\n", "limit": 1000}) in daemon.requests
        assert "00000001  allowed → denied  issue_comment on octo-org/api by github:drive-by  reason 1" in screen_text(
            pilot.app
        )
        await pilot.press("down", "end")
        await wait_for_text(pilot, "ALLOWED", "reason 4")
        await pilot.press("enter")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, WhyScreen))


async def test_a_file_that_changes_nothing(daemon: FakeDaemon, make_app: MakeApp, tmp_path: Path) -> None:
    (tmp_path / "rails.yaml").write_text("version: 1\n", "utf-8")
    async with make_app().run_test(size=(120, 40)) as pilot:
        await wait_until(pilot, lambda: stitcher_app(pilot).session.connection.live)
        await pilot.press("R", "m")
        await wait_for_text(pilot, "Simulate which file?")
        await pilot.press("enter")
        await wait_for_text(pilot, "nothing would change, of 1,000 deliveries")
        assert "each of them would be decided as it was" in screen_text(pilot.app)


async def test_an_invalid_file_shows_its_faults(daemon: FakeDaemon, make_app: MakeApp, tmp_path: Path) -> None:
    (tmp_path / "rails.yaml").write_text("jobs: []\n", "utf-8")
    fault = {"line": 1, "column": 7, "message": "jobs takes a mapping"}
    daemon.simulation = documents.problem(422, "invalid", "rails.yaml:1:7: jobs", faults=[fault])
    async with make_app().run_test(size=(120, 40), notifications=True) as pilot:
        await wait_until(pilot, lambda: stitcher_app(pilot).session.connection.live)
        await pilot.press("R", "m")
        await wait_for_text(pilot, "Simulate which file?")
        await pilot.press("enter")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, ReportDialog))
        assert "jobs takes a mapping" in screen_text(pilot.app)
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, RailsScreen))
        await pilot.press("m")
        await wait_for_text(pilot, "Simulate which file?")
        await pilot.press(*"x", "enter")
        await wait_for_text(pilot, "No such file")
