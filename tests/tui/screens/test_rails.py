"""The screen of the rails, by keys: text, warnings, changes, errors."""

from tests.tui.fake_daemon import FakeDaemon
from tests.tui.screens.screen import MakeApp, screen_text, wait_for_text, wait_until


async def test_what_changed_is_marked_and_shown(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.change_rails()
    async with make_app().run_test(size=(120, 40)) as pilot:
        await pilot.press("R")
        await wait_for_text(pilot, "~   7     tries: 3", "Changes 3")
        await pilot.press("2")
        await wait_for_text(pilot, "r-51bc0000 → r-4f2a91c0")
        text = screen_text(pilot.app)
        assert "~ trigger fix-on-command changed (repos)  line 6" in text
        assert "+ guard freeze added  line 7" in text
        assert "- group team removed" in text
        assert "-    profile: tailor" in text
        assert "+    profile: weaver" in text


async def test_nothing_changed_yet(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await pilot.press("R")
        await wait_for_text(pilot, "profile: weaver")
        await pilot.press("2")
        await wait_for_text(pilot, "nothing changed since the daemon started")


async def test_the_line_of_an_error_is_shown_with_its_place(daemon: FakeDaemon, make_app: MakeApp) -> None:
    error = "unknown capability 'git:comit'"
    daemon.rails["error"] = {
        "line": 34,
        "column": 11,
        "message": error,
        "at": "x",
        "source": "    needs: git:comit\x1b",
    }
    async with make_app().run_test(size=(120, 40)) as pilot:
        await wait_for_text(pilot, f"▲ rails.yaml:34:11 {error} · kept r-4f2a91c0 from 13:58")
        await pilot.press("R")
        await wait_for_text(pilot, "▲  34     needs: git:comit\\x1b")
        lines = screen_text(pilot.app).splitlines()
        at = next(at for at, line in enumerate(lines) if "needs: git:comit" in line)
        assert lines[at + 1].index("▲") == lines[at].index("git:comit") - 1


async def test_the_text_goes_to_a_pager(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40), notifications=True) as pilot:
        await pilot.press("R")
        await wait_for_text(pilot, "profile: weaver")
        await pilot.press("vertical_line")
        await wait_until(
            pilot, lambda: "suspend" in screen_text(pilot.app).lower()
        )  # what a test stands in has no terminal


async def test_warnings_errors_and_reloads(daemon: FakeDaemon, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 20)) as pilot:
        await pilot.press("R")
        await wait_for_text(pilot, "▲   6     profile: weaver")
        assert "r-4f2a91c0 in force since 13:58:00 · 1 warning" in screen_text(pilot.app)
        daemon.rails["error"] = {"line": 34, "column": 17, "message": "unknown capability 'git:comit'", "at": None}
        daemon.commit_event("rails.rejected")
        await wait_for_text(pilot, "▲ rails.yaml:34:17 unknown capability 'git:comit' · kept r-4f2a91c0")
        await wait_until(pilot, lambda: "▲ rails r-4f2a91c0" in screen_text(pilot.app).splitlines()[0])
        daemon.rails.update(error=None, revision="r-51bc0000")
        daemon.reload_rails()
        await wait_for_text(pilot, "r-51bc0000 in force", absent="comit")


async def test_no_rails_at_all(daemon: FakeDaemon, make_app: MakeApp) -> None:
    error = {"line": 1, "column": 1, "message": "there is no such file", "at": None}
    daemon.rails.update(revision=None, loadedAt=None, mode=None, text=None, warnings=[], error=error)
    async with make_app().run_test(size=(120, 20)) as pilot:
        await pilot.press("R")
        await wait_for_text(pilot, "no rails are in force: nothing runs")
        assert "there is no such file · nothing runs until it is fixed" in screen_text(pilot.app)
