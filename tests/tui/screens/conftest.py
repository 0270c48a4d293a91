"""Fixtures for the screens: a fake daemon, and the app connected to it."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tui.fake_daemon import FakeDaemon
from tests.tui.screens.screen import MakeApp
from tui.app.app import StitcherApp
from tui.client.feed import EventFeed
from tui.client.http import DaemonClient

NOW = 1_795_356_300_000  # 2026-11-22T14:05:00Z


@pytest.fixture
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeDaemon]:
    server = FakeDaemon(tmp_path_factory.mktemp("s") / "d.sock")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.disconnect()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def with_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.fixture
def make_app(daemon: FakeDaemon, tmp_path: Path) -> MakeApp:
    """Creates the app in front of the fake daemon, with a clock that stands still."""

    def make(pauses: tuple[float, ...] = (0.05,), **options: Any) -> StitcherApp:
        client = DaemonClient(daemon.path)
        feed = EventFeed(client, delays=pauses)
        feed.start()
        app = StitcherApp(client, feed, config=tmp_path, clock=lambda: NOW, **options)
        app.theme = "textual-dark"
        return app

    return make
