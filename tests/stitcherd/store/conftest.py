"""A store in a file, and what is put into it."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from shared.ids import new_id, now_ms
from shared.models import Decision, Thread, Verdict
from stitcherd.store import deliveries, jobs
from stitcherd.store.sqlite import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stitcher.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    store = await Store.open(path)
    yield store
    await store.close()


@pytest.fixture(scope="session")
def allowed() -> Decision:
    return Decision(Verdict.ALLOWED, "trigger word", "r1", trigger="word")


@pytest.fixture(scope="session")
def new_job() -> Callable[..., jobs.NewJob]:
    def make(**more: Any) -> jobs.NewJob:
        usual = jobs.NewJob(
            id=new_id(),
            workspace="default",
            type="fix",
            profile="weaver",
            executor="agent",
            priority=5,
            repository="acme/roof",
            ref="main",
            thread=None,
            prompt="Mend the roof.",
            metadata={"a": 1},
            tries_max=2,
            on_interrupt="fail",
            rails_revision="r1",
            actor="source:forge/ann",
            origin={"trigger": "word"},
        )
        return structs.replace(usual, **more)

    return make


@pytest.fixture(scope="session")
def new_delivery() -> Callable[..., deliveries.NewDelivery]:
    def make(**more: Any) -> deliveries.NewDelivery:
        usual = deliveries.NewDelivery(
            id=new_id(),
            source="forge",
            kind="github",
            workspace="default",
            external_id=None,
            received_at=now_ms(),
            event="issue_comment",
            action="created",
            trigger="issue.comment",
            sender="forge:ann",
            repository="acme/roof",
            thread=Thread("issue", 7),
            body=b"{}",
            body_sha256=new_id(),
            secret=1,
            headers={"X-GitHub-Event": "issue_comment"},
            actor="source:forge/ann",
            decision=Decision(Verdict.ALLOWED, "trigger word", "r1", trigger="word"),
            seen_since=0,
            same_body_since=None,
        )
        return structs.replace(usual, **more)

    return make
