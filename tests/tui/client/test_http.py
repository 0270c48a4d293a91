"""The HTTP client: broken and silent daemons, and the encoding of requests."""

import socket
import threading
from pathlib import Path

import pytest

from tests.tui.fake_api import FakeApi
from tui.client.api import get_job
from tui.client.http import DaemonClient, DaemonUnreachable


def _once(path: Path, answer: bytes | None) -> threading.Thread:
    """Accept one connection, answer with these bytes and close it; with None, send nothing until the peer closes it."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        with listener, listener.accept()[0] as peer:
            peer.recv(65536)
            if answer is None:
                peer.recv(1)
            else:
                peer.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "closed connection"),
        (b"SSH-2.0\r\n", "SSH-2.0"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "IncompleteRead"),
        (None, "no answer within 0.2 s"),
    ],
)
def test_invalid_and_missing_responses(tmp_path: Path, answer: bytes | None, why: str) -> None:
    thread = _once(tmp_path / "s", answer)
    with pytest.raises(DaemonUnreachable, match=why):
        DaemonClient(tmp_path / "s", timeout=0.2).get("/meta")
    thread.join()


def test_a_stale_socket(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "s"))
    with pytest.raises(DaemonUnreachable, match="Connection refused"):
        DaemonClient(tmp_path / "s").get("/meta")


def test_an_id_cannot_change_the_route(api: FakeApi) -> None:
    api.answers["GET /runner-jobs/..%2Fmeta%3Fx%20y"] = (200, {})
    assert get_job(DaemonClient(api.path), "../meta?x y").raw == b"{}"


def test_queries_and_bodies_are_encoded(api: FakeApi) -> None:
    api.answers |= {"GET /a": (200, {}), "POST /b": (202, {"é": 1})}
    daemon = DaemonClient(api.path)
    daemon.get("/a", [("status", "a&b"), ("status", "ü")])
    assert daemon.post("/b", {"reason": "é"}).decode() == '{"é": 1}'
    assert api.requests == [("GET /a?status=a%26b&status=%C3%BC", None), ("POST /b", {"reason": "é"})]
