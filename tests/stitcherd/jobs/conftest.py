from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.stitcherd.jobs.intake_harness import IntakeHarness, open_harness
from tests.stitcherd.jobs.runner_harness import RunnerHarness, open_runner


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[IntakeHarness]:
    async with open_harness(tmp_path) as harness:
        yield harness


@pytest.fixture
async def runners(tmp_path: Path) -> AsyncIterator[RunnerHarness]:
    async with open_runner(tmp_path) as harness:
        yield harness
