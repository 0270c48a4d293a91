"""The stores that the contract is tested with."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stitcherd.store.sqlite import Store


@pytest.fixture(params=[Store.open], ids=["sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store = await request.param(tmp_path / "stitcher.db")
    yield store
    await store.close()
