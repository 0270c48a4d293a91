"""Outputs of attempts in the store, where any daemon can read them while they grow.

What is written to their files is copied in pieces. Once all of it is stored, the file is deleted: those that are still
in the state directory are being written, or could not be stored yet.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from weakref import WeakValueDictionary

from msgspec import Struct

from shared.ids import short_id
from stitcherd.jobs.logs import DIFF_NAME, find_outputs
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.pieces import (
    PIECE_MAX,
    OutputPlace,
    append_piece,
    delete_output,
    move_output,
    output_size,
    read_pieces,
)
from stitcherd.store.store import Store
from stitcherd.supervision import Supervision

COPY_SECONDS = 0.5  # between two copies of what a step has written
LEFT_SECONDS = 5.0  # between two looks for files that could not be stored when they were whole
NEW_DIFF = f"{DIFF_NAME}.new"  # a diff of which not all is stored yet

log = logging.getLogger(__name__)


class StoredOutput(Struct, frozen=True):
    """An output in the store."""

    store: Store
    place: OutputPlace
    size: int

    async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to `end`, or less where they are deleted meanwhile."""
        while start < end:
            async with self.store.reading() as db:  # which is not kept for a client that reads slowly
                data = await read_pieces(db, self.place, start, end)
            if not data:
                return
            yield data
            start += len(data)


class StoredOutputs:
    """Outputs that are copied to the store; the files are below `state`."""

    interval = COPY_SECONDS

    def __init__(self, store: Store, state: Path) -> None:
        self.state = state
        self._store = store
        self._open: dict[Path, int] = {}  # files that are being written, with how many bytes of each are stored
        self._locks: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def running(self, supervision: Supervision) -> AsyncIterator[None]:
        """Store what was left in files, while the context is open."""
        task = asyncio.create_task(supervision.keep_running("the copy of outputs", self._store_left))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def find(self, path: Path) -> StoredOutput | None:
        """Return an output, None where there is none."""
        place = place_of(path)
        async with self._store.reading() as db:
            size = await output_size(db, place)
        return None if size is None else StoredOutput(self._store, place, size)

    def begin(self, paths: Sequence[Path]) -> None:
        """Note that files are going to be written."""
        self._open |= dict.fromkeys(paths, 0)

    async def update(self, paths: Sequence[Path]) -> None:
        """Store what was written to files so far."""
        with _trying_again(paths[0]):
            for path in filter(Path.exists, paths):
                async with self._lock(path):
                    await self._append_rest(path, self._open[path])

    async def finish(self, paths: Sequence[Path]) -> None:
        """Store what was not stored yet of the files, and delete them."""
        try:
            with _trying_again(paths[0]):
                for path in filter(Path.exists, paths):
                    async with self._lock(path):
                        await self._append_rest(path, self._open[path])
                        path.unlink()
        finally:
            self._end(paths)

    async def replace(self, path: Path, write: Callable[[], None]) -> None:
        """Call `write` in a thread, which replaces a diff, and store that in place of the diff before."""
        async with self._lock(path):
            self.begin([path])
            try:
                await asyncio.to_thread(write)
                with _trying_again(path):
                    await self._store_diff(path)
            finally:
                self._end([path])

    async def _store_left(self) -> None:
        while True:
            for path in find_outputs(self.state):
                async with self._lock(path):
                    if path not in self._open:
                        with _trying_again(path):
                            await self._store_whole(path)
                        self._end([path])
            await asyncio.sleep(LEFT_SECONDS)

    async def _store_whole(self, path: Path) -> None:
        """Store a file of an earlier time; one whose job is unknown is left to retention."""
        if path.name == DIFF_NAME:
            await self._store_diff(path)
            return
        async with self._store.reading() as db:
            stored = await output_size(db, place_of(path))
        if await self._append_rest(path, stored or 0):
            path.unlink()

    async def _store_diff(self, path: Path) -> None:
        """Store a diff, whole or not at all, and delete its file."""
        place = place_of(path)
        new = OutputPlace(place.job_id, place.attempt, NEW_DIFF)
        await self._store.write(delete_output, new)
        known = await self._append_rest(path, 0, new) if path.stat().st_size else await self._append(new, 0, b"")
        if known:
            await self._store.write(move_output, new, place.name)
            path.unlink()

    async def _append_rest(self, path: Path, start: int, place: OutputPlace | None = None) -> bool:
        """Store what a file has from `start` on; return False where its job does not exist."""
        with path.open("rb") as file:
            file.seek(start)
            while data := file.read(PIECE_MAX):
                if not await self._append(place or place_of(path), start, data):
                    return False
                start += len(data)
                if path in self._open:
                    self._open[path] = start
        return True

    async def _append(self, place: OutputPlace, start: int, data: bytes) -> bool:
        return await self._store.write(append_piece, place, start, data)

    def _lock(self, path: Path) -> asyncio.Lock:
        return self._locks.setdefault(path, asyncio.Lock())

    def _end(self, paths: Sequence[Path]) -> None:
        """Forget files of an attempt, and delete its directories if they are empty and no other is being written."""
        for path in paths:
            self._open.pop(path, None)
        directory = paths[0].parent
        if not any(path.parent == directory for path in self._open):
            with contextlib.suppress(OSError):  # they are not empty
                directory.rmdir()
                directory.parent.rmdir()


def place_of(path: Path) -> OutputPlace:
    """Return the place in the store of what is in a file of the state directory."""
    return OutputPlace(path.parts[-3], int(path.parts[-2]), path.name)


@contextlib.contextmanager
def _trying_again(path: Path) -> Iterator[None]:
    """Leave what cannot be stored now, of the job that a path names, to a later try."""
    try:
        yield
    except StorageUnavailable:  # the store logs it
        pass
    except OSError as error:
        log.warning("job %s: not all of its output is stored yet: %s", short_id(path.parts[-3]), error)
