"""The list of jobs on small terminals, without colours and in other themes."""

import pytest

from tests.tui.fake_daemon import FakeDaemon
from tests.tui.screens.screen import MakeApp, screen_text, wait_for_text


async def test_small_terminals(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.job(1)
    async with make_app().run_test(size=(60, 15)) as pilot:
        await wait_for_text(pilot, "octo-org/api#1")
        assert all(len(line) <= 60 for line in screen_text(pilot.app).splitlines())
        await pilot.resize_terminal(50, 10)
        await wait_for_text(pilot, "at least 60 by 15")


async def test_without_colours_a_state_has_a_glyph_and_a_word(
    daemon: FakeDaemon, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    daemon.job(1, status="FAILED")
    async with make_app().run_test(size=(120, 20)) as pilot:
        await wait_for_text(pilot, "✗ failed")
        assert pilot.app.no_color


@pytest.mark.parametrize("theme", ["textual-light", "nord", "textual-ansi"])
async def test_themes(daemon: FakeDaemon, make_app: MakeApp, theme: str) -> None:
    daemon.job(1, status="FAILED")
    async with make_app().run_test(size=(120, 20)) as pilot:
        await wait_for_text(pilot, "✗ failed")
        if theme in pilot.app.available_themes:
            pilot.app.theme = theme
        await pilot.pause()
        assert "✗ failed" in screen_text(pilot.app)
