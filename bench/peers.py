"""Other programs that accept the same webhooks, to be measured in the same run: those of the file that PEERS names.

[[peers]]
name = "original"
argv = ["python3", "start.py"]    # run in the directory of the file; SIGTERM ends it, and what it started
port = 58080
path = "/webhook"
secret = "the key of X-Hub-Signature-256"
"""

import os
import socket
import subprocess
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct, convert

from bench.usage import cpu, descendants, pss

START_SECONDS = 60.0
STOP_SECONDS = 30.0


class Peer(Struct, frozen=True, forbid_unknown_fields=True):
    """How a program is started, and where it takes webhooks."""

    name: str
    argv: tuple[str, ...]
    port: int
    path: str
    secret: str


class _File(Struct, forbid_unknown_fields=True):
    peers: tuple[Peer, ...]


class RunningPeer:
    """A peer that listens."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def cpu(self) -> float:
        """Return the CPU time of the process and its descendants so far, in seconds."""
        return cpu(descendants(self._process.pid))

    def pss(self) -> float:
        """Return the proportional set size of the process and its descendants in MB."""
        return pss(descendants(self._process.pid))


def read_peers() -> tuple[Peer, ...]:
    """Return the peers of the file that the environment variable PEERS names; none if it is not set."""
    name = os.environ.get("PEERS")
    return convert(tomllib.loads(Path(name).read_text()), _File).peers if name else ()


@contextmanager
def run_peer(peer: Peer) -> Iterator[RunningPeer]:
    """Start a peer, wait until it listens, and end it."""
    directory = Path(os.environ["PEERS"]).resolve().parent
    process = subprocess.Popen(peer.argv, cwd=directory, stdout=subprocess.DEVNULL)
    try:
        _wait_until_listening(peer, process)
        yield RunningPeer(process)
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def _wait_until_listening(peer: Peer, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _is_listening(peer.port):
        if time.monotonic() > deadline or process.poll() is not None:
            raise SystemExit(f"the peer {peer.name} does not listen on port {peer.port}")
        time.sleep(0.1)


def _is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
