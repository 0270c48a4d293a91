"""What systemd is told, on sockets of both kinds."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stitcherd import service_manager
from stitcherd.service_manager import ServiceManager


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    name = str(tmp_path / "notify") if request.param == "path" else f"@stitcher-test-{os.getpid()}"
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as bound:
        bound.bind(name.replace("@", "\0"))
        bound.settimeout(10)
        yield bound, name


async def test_ready_alive_and_stopping_are_told(listener: tuple[socket.socket, str]) -> None:
    bound, name = listener
    environ = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "20000", "WATCHDOG_PID": str(os.getpid()), "PATH": "/bin"}
    manager = ServiceManager(environ)
    assert environ == {"PATH": "/bin"}, "no child inherits them"
    alive = True
    async with manager.watching(lambda: alive):
        assert bound.recv(100) == b"READY=1"
        for _ in range(3):
            assert await asyncio.to_thread(bound.recv, 100) == b"WATCHDOG=1"
        alive = False
        await asyncio.sleep(0.05)
        bound.setblocking(False)
        while True:
            try:
                assert bound.recv(100) == b"WATCHDOG=1"
            except BlockingIOError:
                break
        await asyncio.sleep(0.05)
        with pytest.raises(BlockingIOError):
            bound.recv(100)
    manager.notify("STOPPING=1")
    assert bound.recv(100) == b"STOPPING=1"


async def test_more_time_is_asked_for_until_the_daemon_has_started(
    listener: tuple[socket.socket, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bound, name = listener
    monkeypatch.setattr(service_manager, "EXTENSION_SECONDS", 0.06)
    manager = ServiceManager({"NOTIFY_SOCKET": name})
    async with manager.starting():
        for _ in range(3):
            assert await asyncio.to_thread(bound.recv, 100) == b"EXTEND_TIMEOUT_USEC=60000000"
    manager.notify("READY=1")
    while (told := bound.recv(100)) != b"READY=1":
        assert told == b"EXTEND_TIMEOUT_USEC=60000000"


@pytest.mark.parametrize("watchdog", [{}, {"WATCHDOG_USEC": "20000", "WATCHDOG_PID": "1"}])
async def test_a_watchdog_of_nobody_or_of_another_process_is_not_told(
    listener: tuple[socket.socket, str], watchdog: dict[str, str]
) -> None:
    bound, name = listener
    async with ServiceManager({"NOTIFY_SOCKET": name} | watchdog).watching(lambda: True):
        assert bound.recv(100) == b"READY=1"
        await asyncio.sleep(0.05)
        bound.setblocking(False)
        with pytest.raises(BlockingIOError):
            bound.recv(100)


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": "/nowhere/at/all"}])
async def test_without_a_listener_nothing_happens(environ: dict[str, str]) -> None:
    async with ServiceManager(environ).watching(lambda: True):
        await asyncio.sleep(0)
