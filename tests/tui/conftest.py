"""Fixtures for the client: an API with prepared answers, and `stitcher` in this process in front of it."""

import threading
from collections.abc import Iterator

import pytest

from tests.tui.fake_api import FakeApi, RunStitcher
from tui.__main__ import main


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
