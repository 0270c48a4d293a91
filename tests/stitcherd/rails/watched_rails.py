"""Rails in a file that is watched, as in the daemon."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from stitcherd.daemon import reload_rails
from stitcherd.rails.live import LiveRails
from stitcherd.rails.validate import RailsContext
from stitcherd.rails.watch import watch_rails
from stitcherd.store import events
from stitcherd.store.revisions import StoredRevisions
from stitcherd.store.store import Store
from tests.stitcherd.rails.contexts import CONTEXT

LIMIT = 15.0  # seconds, far above anything that is waited for


class RailsOnDisk:
    def __init__(self, store: Store, path: Path, context: RailsContext = CONTEXT) -> None:
        self.store = store
        self.path = path
        self.rails = LiveRails(path, StoredRevisions(store), context)

    @property
    def text(self) -> str | None:
        return self.rails.current.text if self.rails.current else None

    @property
    def error(self) -> str | None:
        error = self.rails.state().error
        return error.message if error else None

    async def until_in_force(self, text: str) -> None:
        await until(lambda: self.text == text)

    async def events(self) -> list[str]:
        async with self.store.reading() as db:
            return [event.type for event, _ in await events.events_after(db, 0, 500)]

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        task = asyncio.create_task(
            watch_rails(self.path, self.rails.reload_requested, partial(reload_rails, self.rails))
        )
        try:
            await until(lambda: self.text is not None or self.error is not None)
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT):
        while not holds():  # noqa: ASYNC110 (what is waited for tells nobody)
            await asyncio.sleep(0.01)


def numbered(small: str) -> Any:
    return (f"# edition {number}\n{small}" for number in itertools.count())


def in_place(path: Path, text: str) -> None:
    path.write_text(text)


def by_rename(path: Path, text: str) -> None:
    new = path.with_name(".rails.yaml.swp")
    new.write_text(text)
    new.rename(path)


def with_backup(path: Path, text: str) -> None:
    path.rename(path.with_name("rails.yaml~"))
    path.write_text(text)


def anew(path: Path, text: str) -> None:
    path.unlink()
    path.write_text(text)
