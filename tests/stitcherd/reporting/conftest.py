"""Outboxes that are connected to a fake of each kind of forge, or of GitHub."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.forges.harness import FAKES
from tests.stitcherd.reporting.outbox_harness import OutboxHarness, outbox_on


@pytest.fixture(params=FAKES)
async def harness(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OutboxHarness]:
    async with outbox_on(tmp_path, request.param) as found:
        yield found


@pytest.fixture
async def github(tmp_path: Path) -> AsyncIterator[OutboxHarness]:
    async with outbox_on(tmp_path) as found:
        yield found
