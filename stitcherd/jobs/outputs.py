"""Where the outputs of attempts are kept: step logs, raw output, prompts and diffs.

While an attempt runs, its outputs are files; each is known by the path of its file in the state directory. They stay
files, or they are copied to the store, where any daemon can read them (`stored_outputs`).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from stitcherd.supervision import Supervision

CHUNK_BYTES = 256 * 1024


class Output(Protocol):
    """A text as it is at the moment: it may grow, or another one may take its place."""

    @property
    def size(self) -> int:
        """Its length in bytes."""
        ...

    def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to `end`, in parts of some CHUNK_BYTES."""
        ...


class Outputs(Protocol):
    """Where outputs are kept; `interval` is how often (s) `update` may be called for a step."""

    interval: float
    state: Path

    def running(self, supervision: Supervision) -> AbstractAsyncContextManager[None]:
        """Do what is to be done beside the attempts, while the context is open."""
        ...

    async def find(self, path: Path) -> Output | None:
        """Return an output, None where there is none; raises StorageUnavailable."""
        ...

    def begin(self, paths: Sequence[Path]) -> None:
        """Note that files are going to be written."""
        ...

    async def update(self, paths: Sequence[Path]) -> None:
        """Let what was written to files so far be found."""
        ...

    async def finish(self, paths: Sequence[Path]) -> None:
        """Let the whole of the files be found, to which nothing is going to be added."""
        ...

    async def replace(self, path: Path, write: Callable[[], None]) -> None:
        """Call `write` in a thread, which replaces a file, and let that be found in place of what was there."""
        ...


class FileOutput(Struct, frozen=True):
    """An output in a file."""

    path: Path
    size: int

    async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to `end`, in parts of at most CHUNK_BYTES."""
        with self.path.open("rb") as file:
            file.seek(start)
            left = end - start
            while left and (chunk := await asyncio.to_thread(file.read, min(left, CHUNK_BYTES))):
                left -= len(chunk)
                yield chunk


class FileOutputs:
    """Outputs that stay files in the state directory of this daemon."""

    interval = 0.0

    def __init__(self, state: Path) -> None:
        self.state = state

    def running(self, _supervision: Supervision) -> AbstractAsyncContextManager[None]:
        """Do nothing."""
        return nullcontext()

    async def find(self, path: Path) -> FileOutput | None:
        """Return an output, None where there is none."""
        return FileOutput(path, path.stat().st_size) if path.exists() else None

    def begin(self, paths: Sequence[Path]) -> None:
        """Do nothing: a file can be read while it is written."""

    async def update(self, paths: Sequence[Path]) -> None:
        """Do nothing."""

    async def finish(self, paths: Sequence[Path]) -> None:
        """Do nothing."""

    async def replace(self, path: Path, write: Callable[[], None]) -> None:  # noqa: ARG002 (it writes the file itself)
        """Let a file be replaced in a thread."""
        await asyncio.to_thread(write)
