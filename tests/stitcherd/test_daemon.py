"""A heap full of holes gets small again."""

import asyncio
import resource
from pathlib import Path

import pytest

from stitcherd import daemon

PAGE = resource.getpagesize()


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


async def test_holes_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "MEMORY_TRIM_SECONDS", 0.01)
    full = [bytes(4000) for _ in range(10_000)]
    pins = full[::50]
    del full
    before = resident()
    trimming = asyncio.create_task(daemon.trim_memory())
    async with asyncio.timeout(20):
        while resident() > before - 2**24 and not trimming.done():  # noqa: ASYNC110 (the kernel tells nobody)
            await asyncio.sleep(0.01)
    assert pins
    trimming.cancel()
