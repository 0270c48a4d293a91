"""The app: its screens, keys and palette."""

import inspect
from pathlib import Path
from typing import ClassVar

import pytest
from textual.app import ComposeResult
from textual.binding import BindingType

from tests.tui.fake_daemon import FakeDaemon
from tests.tui.screens.screen import MakeApp, wait_for_text, wait_until
from tui.app.app import StitcherApp
from tui.client.feed import FeedReader
from tui.client.http import DaemonClient
from tui.client.preferences import load_theme
from tui.screens import SCREENS, ScreenEntry, screen_bindings, screen_name
from tui.screens.base import BaseScreen, breadcrumb
from tui.screens.deliveries import DeliveriesScreen
from tui.screens.dispatch import DispatchScreen
from tui.screens.job import JobScreen
from tui.screens.tail import TailScreen
from tui.widgets.bar import BarSegment
from tui.widgets.text_view import TextView


class NotesScreen(BaseScreen):
    """A screen that is not part of the product."""

    def body(self) -> ComposeResult:
        yield TextView([[("a note about nothing", "")]])

    def title_segments(self) -> list[BarSegment]:
        return [breadcrumb("Jobs"), ("notes", "bold", "")]


def test_every_listed_screen_is_a_screen() -> None:
    for name, entry in SCREENS.items():
        screen = entry.load()
        assert issubclass(screen, BaseScreen | DispatchScreen), name
        assert (screen.__module__, screen.__name__) == (entry.module, entry.name)


async def test_a_screen_is_added_by_one_line(
    daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SCREENS, "notes", ScreenEntry(__name__, "NotesScreen", "Z", "notes", hint=True))

    class GrownApp(StitcherApp):
        CSS_PATH = str(Path(inspect.getfile(StitcherApp)).with_name("app.tcss"))
        BINDINGS: ClassVar[list[BindingType]] = [*screen_bindings()]  # read from the table when the class is made

    client = DaemonClient(daemon.path)
    feed = FeedReader(client)
    feed.start()
    app = GrownApp(client, feed, config=tmp_path)
    async with app.run_test(size=(160, 30)) as pilot:
        await wait_for_text(pilot, "Z notes")
        assert "Notes" in {command.title for command in app.get_system_commands(app.screen)}
        await pilot.press("Z")
        await wait_for_text(pilot, "a note about nothing", absent="Z notes")
        assert screen_name(app.screen) == "notes"
        await pilot.press("escape")
        await wait_for_text(pilot, "stitcher ─ jobs", "Z notes")


async def test_an_open_screen_is_gone_back_to(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.commit_event("job.created", daemon.job(7))
    async with make_app().run_test(size=(120, 20)) as pilot:
        await pilot.press("t")
        await wait_for_text(pilot, "job.created")
        await pilot.press("enter")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, JobScreen))
        await pilot.press("t")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, TailScreen))
        assert len(pilot.app.screen_stack) == 2


async def test_the_palette_offers_the_keys(daemon: FakeDaemon, make_app: MakeApp) -> None:
    daemon.job(7, status="RUNNING")
    async with make_app(verbs={"tail"}).run_test(size=(120, 60)) as pilot:
        await wait_until(pilot, lambda: pilot.app.screen.query("#jobs"))
        commands = list(pilot.app.get_system_commands(pilot.app.screen))
        helps = {command.title: command.help for command in commands}
        assert len(helps) == len(commands), "no title is offered twice"
        assert {"Tail", "Deliveries", "Rails", "Filter", "Theme"} <= helps.keys()
        assert helps["Tail"] == "key t · stitcher tail"
        assert helps["Deliveries"] == "key D"
        await pilot.press("ctrl+p", *"deliveries", "enter")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, DeliveriesScreen))


async def test_a_theme_that_is_selected_is_kept(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app()
    assert app.use_theme("light")
    assert not app.use_theme("no such theme")
    async with app.run_test(size=(120, 30)) as pilot:
        await wait_for_text(pilot, "no jobs yet")
        assert load_theme(tmp_path) == ""  # that of the start is not one that was selected
        assert app.theme == "stitcher-light"
        await pilot.press("ctrl+p", *"theme")
        await wait_for_text(pilot, "Theme")
        await pilot.press("enter", *"gruvbox")
        await wait_for_text(pilot, "gruvbox")
        await pilot.press("enter")
        await wait_until(pilot, lambda: load_theme(tmp_path) == "gruvbox")
