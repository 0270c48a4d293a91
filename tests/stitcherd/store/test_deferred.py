"""Writes that nobody waits for: they share a transaction, keep their order, and none is lost."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from stitcherd.store.db import Db
from stitcherd.store.deferred import DeferredWrites
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.store import Store
from tests.stores import open_store


class Refused(Exception):
    pass


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(tmp_path / "stitcher.db")
    yield store
    await store.close()


def note(db: Db, name: str) -> str:
    db.execute("INSERT INTO meta (name, value) VALUES (?, (SELECT count(*) FROM meta WHERE name LIKE 'n%'))", (name,))
    return name


def refuse(db: Db) -> None:
    note(db, "n-refused")
    raise Refused


async def noted(store: Store) -> list[str]:
    async with store.reading() as db, db.execute("SELECT name FROM meta WHERE name LIKE 'n%' ORDER BY value") as found:
        return [row["name"] async for row in found]


def count_transactions(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return a list that grows with each write of the store."""
    written: list[object] = []
    write: Callable[..., Any] = store.write

    async def counted(*args: Any, **kwargs: Any) -> Any:
        written.append(args)
        return await write(*args, **kwargs)

    monkeypatch.setattr(store, "write", counted)
    return written


async def test_a_deferred_write_goes_with_the_next_one(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    writes, written = DeferredWrites(store), count_transactions(store, monkeypatch)
    writes.defer(note, "n1")
    writes.defer(note, name="n2")
    assert await writes.write(note, "n3") == "n3"
    assert await noted(store) == ["n1", "n2", "n3"]
    assert len(written) == 1
    await asyncio.sleep(0.02)
    assert len(written) == 1


async def test_a_deferred_write_that_nothing_follows_is_stored_by_itself(store: Store) -> None:
    writes = DeferredWrites(store)
    writes.defer(note, "n1")
    for _ in range(1000):
        if await noted(store):
            break
        await asyncio.sleep(0.01)
    writes.defer(note, "n2")
    await asyncio.sleep(0)  # it is on its way
    await writes.write(note, "n3")
    assert await noted(store) == ["n1", "n2", "n3"]


async def test_a_write_that_is_refused_loses_nothing_that_was_deferred(store: Store) -> None:
    writes = DeferredWrites(store)
    writes.defer(note, "n1")
    with pytest.raises(Refused):
        await writes.write(refuse)
    await writes.write(note, "n2")
    assert await noted(store) == ["n1", "n2"]


@pytest.mark.parametrize("waits", [False, True])
async def test_during_an_outage_writes_stay_deferred(
    store: Store, monkeypatch: pytest.MonkeyPatch, waits: bool
) -> None:
    writes, write = DeferredWrites(store), store.write

    async def unavailable(*_args: Any, **_kwargs: Any) -> None:
        raise StorageUnavailable("database or disk is full")

    monkeypatch.setattr(store, "write", unavailable)
    writes.defer(note, "n1")
    if waits:
        await asyncio.sleep(0.02)
    with pytest.raises(StorageUnavailable):
        await writes.write(note, "n2")
    writes.defer(note, "n3")
    monkeypatch.setattr(store, "write", write)
    await writes.write(note, "n4")
    assert await noted(store) == ["n1", "n3", "n4"]
