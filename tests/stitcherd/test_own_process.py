"""The memory, the threads and the connections of the daemon's process."""

import asyncio
import errno
import resource
import threading
from pathlib import Path

import pytest

from stitcherd import own_process

PAGE = resource.getpagesize()


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


async def test_connections_that_cannot_be_accepted_are_logged_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    own_process.quiet_accept_errors()
    loop = asyncio.get_running_loop()
    error = OSError(errno.EMFILE, "Too many open files")
    for _ in range(500):
        loop.call_exception_handler(
            {"message": "socket.accept() out of system resource", "exception": error, "socket": None}
        )
    [line] = caplog.records
    assert (line.levelname, line.exc_info) == ("ERROR", None)
    assert "no connection can be accepted: [Errno 24] Too many open files" in line.message
    loop.call_exception_handler({"message": "another error"})
    assert "another error" in caplog.text


async def test_work_in_threads_needs_no_new_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    own_process.start_threads()

    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as short:
        short.setattr(threading.Thread, "start", fail)
        assert await asyncio.gather(*(asyncio.to_thread(int, "7") for _ in range(50))) == [7] * 50


async def test_freed_memory_is_returned_to_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_process, "MEMORY_TRIM_SECONDS", 0.01)
    blocks = [bytes(4000) for _ in range(10_000)]
    kept = blocks[::50]
    del blocks
    before = resident()
    trimming = asyncio.create_task(own_process.trim_memory())
    async with asyncio.timeout(20):
        while resident() > before - 2**24 and not trimming.done():  # noqa: ASYNC110 (nothing reports it)
            await asyncio.sleep(0.01)
    assert kept
    trimming.cancel()
