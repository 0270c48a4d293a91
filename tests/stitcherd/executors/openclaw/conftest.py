"""Fixtures for the tests of OpenClaw: a fake gateway, an executor for it, and tasks that script its runs."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from stitcherd.executors.base import AgentProfile, PreviousTry, Task
from stitcherd.executors.openclaw.executor import OpenClawExecutor
from tests.stitcherd.executors.openclaw.fake_gateway import FakeGateway
from tests.stitcherd.executors.openclaw.recording_sink import RecordingSink
from tests.stitcherd.executors.openclaw.tasks import build_task

READER = AgentProfile(name="reader", capabilities=frozenset({"repo:read"}))


@pytest.fixture
async def gateway() -> AsyncIterator[FakeGateway]:
    fake = FakeGateway()
    await fake.open()
    yield fake
    await fake.close()


@pytest.fixture
def executor(gateway: FakeGateway) -> OpenClawExecutor:
    return OpenClawExecutor(gateway.address)


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


@pytest.fixture
def make_task(tmp_path: Path) -> Callable[..., Task]:
    """Return a function that makes a task whose prompt is a list of steps."""

    def make(
        *steps: Any,
        number: int = 1,
        timeout: float | None = 10.0,
        profile: AgentProfile | None = READER,
        previous: PreviousTry | None = None,
    ) -> Task:
        prompt = json.dumps(steps)
        return build_task(tmp_path, prompt, number=number, timeout=timeout, profile=profile, previous=previous)

    return make
