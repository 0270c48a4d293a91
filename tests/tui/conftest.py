"""A small HTTP server on a Unix socket that answers with documents shaped like the daemon's."""

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from tests.tui.documents import DECISION, DELIVERY, JOB, event, job, problem, step
from tests.tui.fake_api import FakeApi


@pytest.fixture
def papers() -> SimpleNamespace:
    """The documents above, for tests that cannot import them."""
    return SimpleNamespace(
        JOB=JOB, DECISION=DECISION, DELIVERY=DELIVERY, job=job, step=step, event=event, problem=problem
    )


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeApi]:
    server = FakeApi(tmp_path_factory.mktemp("s") / "d.sock")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def stitcher(house: FakeApi, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs `stitcher` in this process against the house; gives exit code, stdout and stderr."""
    from tui.__main__ import main

    def run(*argv: str) -> tuple[int, str, str]:
        code = main(["--socket", str(house.path), *argv])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run
