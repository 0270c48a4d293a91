"""A store in a file, and factories of what is stored in it."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from shared.models import Decision, Thread
from stitcherd.store.deliveries import NewDelivery
from stitcherd.store.jobs import NewJob
from stitcherd.store.store import Store
from tests.stitcherd.store import factories
from tests.stores import open_store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stitcher.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    store = await open_store(path)
    yield store
    await store.close()


@pytest.fixture(scope="session")
def allowed() -> Decision:
    return factories.ALLOWED


@pytest.fixture(scope="session")
def new_job() -> Callable[..., NewJob]:
    defaults: dict[str, Any] = {
        "repository": "acme/roof",
        "ref": "main",
        "prompt": "Repair the roof.",
        "metadata": {"a": 1},
        "actor": "source:forge/ann",
        "origin": {"trigger": "word"},
    }
    return lambda **more: factories.new_job(**defaults | more)


@pytest.fixture(scope="session")
def new_delivery() -> Callable[..., NewDelivery]:
    return lambda **more: factories.new_delivery(**{"thread": Thread("issue", 7), **more})
