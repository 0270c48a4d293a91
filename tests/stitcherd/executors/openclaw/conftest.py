"""A gateway of our own, the executor that is to drive it, and tasks that say what happens in it."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from stitcherd.executors import Profile, Task
from stitcherd.executors.openclaw.executor import OpenClawExecutor
from tests.stitcherd.openclaw.ear import Ear
from tests.stitcherd.openclaw.fake import Gateway

READER = Profile(name="reader", capabilities=frozenset({"repo:read"}))


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    fake = Gateway()
    await fake.open()
    yield fake
    await fake.close()


@pytest.fixture
def executor(gateway: Gateway) -> OpenClawExecutor:
    return OpenClawExecutor(gateway.address)


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def make_task(tmp_path: Path) -> Callable[..., Task]:
    """Make a task whose prompt is a list of steps."""

    def make(*steps: Any, number: int = 1, timeout: float | None = 10.0, profile: Profile | None = READER) -> Task:
        return Task(
            job_id="job",
            attempt=1,
            number=number,
            prompt=json.dumps(steps),
            cwd=tmp_path,
            tmp=tmp_path,
            root=tmp_path,
            env={},
            timeout=timeout,
            profile=profile,
        )

    return make
