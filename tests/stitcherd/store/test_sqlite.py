"""Readers: they cannot write, see one moment, and survive being cancelled."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from shared.models import Decision
from stitcherd.store import events, jobs
from stitcherd.store.jobs import JobFilter
from stitcherd.store.store import READERS, Store
from tests.stitcherd.store.factories import dispatch

Make = Callable[..., Any]


async def test_readers_cannot_write(store: Store) -> None:
    for _ in range(READERS):
        async with store.reading() as db:
            with pytest.raises(Exception, match=r"read-?only"):
                await db.execute_fetchall("DELETE FROM meta")


async def test_a_read_transaction_sees_one_moment(store: Store, new_job: Make, allowed: Decision) -> None:
    await dispatch(store, new_job(), allowed)
    async with store.reading() as db:
        before = await jobs.job_page(db, JobFilter(), 9)
        await dispatch(store, new_job(), allowed)
        assert await jobs.job_page(db, JobFilter(), 9) == before
    async with store.reading() as db:
        assert len((await jobs.job_page(db, JobFilter(), 9)).items) == 2


async def test_a_cancelled_reader_leaves_a_usable_connection(store: Store) -> None:
    async def read() -> None:
        async with store.reading() as db:
            await events.newest_event(db)

    for breaths in range(12):
        for _ in range(READERS):
            reader = asyncio.create_task(read())
            for _ in range(breaths):
                await asyncio.sleep(0)
            reader.cancel()
            await asyncio.wait({reader})
        for _ in range(READERS):
            await read()
