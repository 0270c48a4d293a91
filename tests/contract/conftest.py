"""The store that the contract is tested with; `--store` says in which database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stitcherd.store.store import Store
from tests.stores import open_store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(tmp_path / "stitcher.db")
    yield store
    await store.close()
