"""What waits for a commit happens once for what was stored, and never for what was not."""

import asyncio
import sqlite3
from collections import Counter
from functools import partial

import pytest

from stitcherd.store.after_commit import after_commit
from stitcherd.store.db import Db
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.store import Store
from tests.stitcherd.store.batches import in_one_batch


def note(db: Db, made: Counter[str], name: str, error: Exception | None = None) -> None:
    after_commit(partial(made.update, [name]))
    db.execute("INSERT INTO meta (name, value) VALUES (?, '')", (name,))
    if error is not None:
        raise error


async def test_a_call_is_made_once_the_write_is_stored(store: Store) -> None:
    made: Counter[str] = Counter()
    await store.write(note, made, "a")
    assert made == {"a": 1}
    await store.write(lambda _: None)
    assert made == {"a": 1}


async def test_of_a_batch_that_ran_twice_each_call_is_made_once_but_those_of_the_failed_function(store: Store) -> None:
    made: Counter[str] = Counter()
    await in_one_batch(
        store,
        store.write(note, made, "a"),
        store.write(note, made, "b", LookupError()),
        store.write(note, made, "c"),
    )
    assert made == {"a": 1, "c": 1}


@pytest.mark.sqlite
async def test_while_nothing_can_be_stored_no_call_is_made(store: Store) -> None:
    made: Counter[str] = Counter()
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    for _ in range(2):
        with pytest.raises(StorageUnavailable):
            await store.write(note, made, "a", full)
    await asyncio.gather(store.write(note, made, "b"))
    assert made == {"b": 1}
