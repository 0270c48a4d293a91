"""A stand-in for the daemon, with jobs, events and logs of its own, behind a real Unix socket."""

import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.tui.fake_daemon import FakeDaemon
from tui.app.app import StitcherApp
from tui.client.feed import EventFeed
from tui.client.http import DaemonClient

NOW = 1_795_356_300_000  # 2026-11-22T14:05:00Z


@pytest.fixture
def daemon(tmp_path_factory: pytest.TempPathFactory, papers: Any) -> Iterator[FakeDaemon]:
    server = FakeDaemon(tmp_path_factory.mktemp("s") / "d.sock", papers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.cut()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def plain_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.fixture
def app(daemon: FakeDaemon, tmp_path: Path) -> Callable[..., StitcherApp]:
    """Makes the app, at a standing clock, in front of the stand-in."""

    def make(pauses: tuple[float, ...] = (0.05,), **more: Any) -> StitcherApp:
        client = DaemonClient(daemon.path)
        feed = EventFeed(client, pauses=pauses)
        feed.start()
        made = StitcherApp(client, feed, config=tmp_path, clock=lambda: NOW, **more)
        made.theme = "textual-dark"
        return made

    return make


@pytest.fixture
def until() -> Callable[[Pilot[None], Callable[[], object]], Awaitable[None]]:
    """Waits for a condition on the screen, up to a minute: a machine may have much else to do."""

    async def wait(pilot: Pilot[None], holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            await pilot.pause()
            if holds():
                return
            await pilot.pause(0.02)
        raise AssertionError(f"it did not come to be; the screen:\n{screen_text(pilot.app)}")

    return wait


def screen_text(app: Any) -> str:
    """Return what is on the screen, line by line."""
    # Textual has no public way to read its screen as text.
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips)


@pytest.fixture
def seen() -> Callable[[Any], str]:
    return screen_text
