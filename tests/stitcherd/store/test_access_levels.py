"""Access levels: the newest of each account, until they are forgotten or too old."""

import pytest

from stitcherd.store.access_levels import StoredAccess, forget_levels, read_levels, save_level
from stitcherd.store.store import Store

ANN = StoredAccess("forge", "acme/roof", "7", "read", 1000)
ELSEWHERE = StoredAccess("forge", "acme/wall", "7", "admin", 1000)
OTHER = StoredAccess("other", "acme/roof", "7", "write", 1000)


async def known(store: Store, since: int = 0) -> list[StoredAccess]:
    async with store.reading() as db:
        return await read_levels(db, since)


async def test_the_newest_level_replaces_an_earlier_one(store: Store) -> None:
    await store.write(save_level, ANN, 0)
    later = StoredAccess("forge", "acme/roof", "7", "write", 2000)
    await store.write(save_level, later, 0)
    assert await known(store) == [later]
    assert await known(store, 2001) == []


async def test_old_levels_are_deleted(store: Store) -> None:
    await store.write(save_level, ANN, 0)
    await store.write(save_level, OTHER, 1001)
    assert await known(store) == [OTHER]


@pytest.mark.parametrize(
    ("repository", "left"), [("acme/roof", [ELSEWHERE, OTHER]), (None, [OTHER]), ("acme/door", [ANN, ELSEWHERE, OTHER])]
)
async def test_levels_are_forgotten(store: Store, repository: str | None, left: list[StoredAccess]) -> None:
    for each in (ANN, ELSEWHERE, OTHER):
        await store.write(save_level, each, 0)
    await store.write(forget_levels, "forge", repository)
    assert await known(store) == left
