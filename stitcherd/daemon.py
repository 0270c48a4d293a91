"""Freed memory that glibc keeps is given back now and then: every read from a connection leaves holes in its heap."""

import asyncio
import ctypes

TRIM_SECONDS = 15.0  # a trim takes 1-2 ms


async def keep_small() -> None:
    """Trim the heap for ever; returns at once where the C library cannot (musl)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while trim is not None:
        await asyncio.sleep(TRIM_SECONDS)
        trim(0)
