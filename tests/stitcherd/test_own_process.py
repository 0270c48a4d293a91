"""The memory of the daemon's process."""

import asyncio
import resource
from pathlib import Path

import pytest

from stitcherd import own_process

PAGE = resource.getpagesize()


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


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
