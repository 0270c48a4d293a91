"""Keys: each means the same on every screen, the bottom line shows whole hints, and the help shows all keys."""

import re
from collections import defaultdict

import pytest
from textual.binding import Binding
from textual.pilot import Pilot

from tests.tui.fake_daemon import FakeDaemon
from tests.tui.screens.screen import MakeApp, screen_text, wait_for_text, wait_until
from tui.app.app import StitcherApp
from tui.screens import SCREENS
from tui.screens.base import BaseScreen, key_name
from tui.screens.job_body import JobBody
from tui.screens.jobs_list import JobList
from tui.screens.jobs_pane import JobsPane
from tui.widgets.lines import LineView, RowView
from tui.widgets.log import LogView
from tui.widgets.searchable import SearchablePages
from tui.widgets.stats import StatsList

RELATED = {  # what a key does where there are no jobs, or no list
    "/": {"filter", "find"},
    "r": {"retry", "replay", "by repository"},
    "y": {"copy id", "copy revision"},
    "e": {"export", "export as JSON lines", "by executor"},
    "p": {"pause"},
    "d": {"deny", "by day"},
    "h": {"left", "by hour"},
    "t": {"tail", "by type"},
    "esc": {"back", "clear", "hide what is new"},
}


def test_a_key_means_the_same_on_every_screen() -> None:
    lists = [JobsPane, JobList, JobBody, LineView, RowView, LogView, SearchablePages, StatsList]
    owners = [StitcherApp, BaseScreen, *lists]
    meanings = defaultdict(set)
    for owner in [*owners, *(entry.load() for name, entry in SCREENS.items() if name != "dispatch")]:
        for binding in owner.BINDINGS:
            assert isinstance(binding, Binding)
            for key in binding.key.split(","):
                meanings[key_name(key)].add(binding.description)
    differing = {
        key: found
        for key, found in meanings.items()
        if len(found) > 1 and not (key.isdigit() or found <= RELATED.get(key, set()))
    }
    assert differing == {}
    assert meanings["d"] == {"deny", "by day"}
    assert meanings["i"] == {"insights"}
    assert meanings["D"] == {"deliveries"}


def _hints(pilot: Pilot[None]) -> str:
    return screen_text(pilot.app).splitlines()[-1]


@pytest.mark.parametrize("columns", [120, 100, 80, 70, 60])
async def test_hints_are_shown_as_a_whole_or_not_at_all(daemon: FakeDaemon, make_app: MakeApp, columns: int) -> None:
    daemon.job(7, status="RUNNING")
    async with make_app().run_test(size=(120, 40)) as pilot:
        await wait_for_text(pilot, "api#7")
        await pilot.press("enter")
        await wait_for_text(pilot, "00000007  ▶ running  fix ·", "c cancel", "esc back")
        whole = set(re.split(r"  +", _hints(pilot).strip()))
        await pilot.resize_terminal(columns, 40)
        await wait_until(pilot, lambda: pilot.app.screen.size.width == columns and "…" not in _hints(pilot))
        shown = re.split(r"  +", _hints(pilot).strip())
        assert len(_hints(pilot)) <= columns
        assert shown[-2:] == ["? keys", "q quit"]
        assert set(shown) <= whole | {"t tail", "D deliveries", "R rails", "i insights"}


async def test_the_help_shows_every_key_and_dims_those_without_effect(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.job(7, status="RUNNING")
    async with make_app().run_test(size=(120, 60)) as pilot:
        await wait_for_text(pilot, "api#7")
        assert "retry" not in _hints(pilot)
        await pilot.press("question_mark")
        await wait_for_text(pilot, "Keys of this screen")
        lines = screen_text(pilot.app).splitlines()
        for key, what in (("c", "cancel"), ("r", "retry"), ("a", "approve"), ("d", "deny"), ("S", "save as view")):
            assert any(re.search(rf"│ +{key} +{what} ", line) for line in lines), what


async def test_keys_are_named_as_people_write_them(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.job(7, status="RUNNING")
    async with make_app().run_test(size=(120, 60)) as pilot:
        await wait_for_text(pilot, "api#7")
        await pilot.press("enter")
        await wait_for_text(pilot, "esc back")
        await pilot.press("question_mark")
        await wait_for_text(pilot, "Keys of this screen", "next step")
        text = screen_text(pilot.app)
        assert re.search(r"\] +next step", text)
        assert re.search(r"\| +open in \$PAGER", text)
        assert not re.search(r"\w+_(bracket|line|mark)", text)


async def test_a_hint_of_the_daemon_is_a_line_of_its_own(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(120, 30), notifications=True) as pilot:
        app.session.notify("q: an empty filter\n  is:open matches\x1b", error=True)
        await wait_for_text(pilot, "q: an empty filter", r"is:open matches\x1b", absent=r"\n")


async def test_the_smallest_size_is_told_at_any_size(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(24, 6)) as pilot:
        await wait_until(pilot, lambda: "60 by 15 cells" in " ".join(screen_text(pilot.app).split()))
