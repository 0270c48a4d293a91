"""Fixtures for the client: an API with prepared answers and a fake daemon, `stitcher` and the app in front of them."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tui import documents
from tests.tui.documents import Document
from tests.tui.fake_api import FakeApi, RunStitcher
from tests.tui.fake_daemon import FakeDaemon
from tests.tui.screens.screen import MakeApp
from tui.__main__ import main
from tui.app.app import StitcherApp
from tui.client.feed import FeedReader
from tui.client.http import DaemonClient

NOW = 1_795_356_300_000  # 2026-11-22T14:05:00Z


@pytest.fixture
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeApi]:
    server = FakeApi(tmp_path_factory.mktemp("s") / "d.sock")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def stitcher(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> RunStitcher:
    """Runs `stitcher` in this process; returns its exit code, stdout and stderr."""

    def run(*argv: str) -> tuple[int, str, str]:
        code = main(["--socket", str(api.path), *argv])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


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


@pytest.fixture
def make_app(daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeApp:
    """Creates the app in front of the fake daemon, with colours and a clock that stands still."""
    monkeypatch.delenv("NO_COLOR", raising=False)

    def make(pauses: tuple[float, ...] = (0.05,), **options: Any) -> StitcherApp:
        client = DaemonClient(daemon.path)
        feed = FeedReader(client, delays=pauses)
        feed.start()
        app = StitcherApp(client, feed, config=tmp_path, clock=lambda: NOW, **options)
        app.theme = "textual-dark"
        return app

    return make


@pytest.fixture
def simulation(daemon: FakeDaemon) -> Document:
    """Four deliveries that other rails would decide differently."""
    changed = [
        {
            "deliveryId": f"0199f3a1-5c2e-7d11-9a44-{at:012x}",
            "before": before,
            "after": after,
            "decision": {**documents.DECISION, "verdict": after, "reason": f"reason {at}"},
            "receivedAt": "2026-11-22T14:02:11.284Z",
            "event": "issue_comment",
            "action": "created",
            "sender": "github:drive-by",
            "repository": "octo-org/api",
            "thread": None,
        }
        for at, (before, after) in enumerate([("allowed", "denied")] * 3 + [("denied", "allowed")], 1)
    ]
    counts = {"allowed→denied": 3, "denied→allowed": 1}
    daemon.simulation |= {"changed": changed, "counts": counts}
    return dict(daemon.simulation)
