"""Simulations over a real store: what is decided again, what is skipped, and that nobody waits for it."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stitcherd.config.load import load_settings
from stitcherd.configuration import SUPPORTED_KINDS
from stitcherd.errors import Refusal
from stitcherd.jobs import simulation
from stitcherd.jobs.evaluator import Evaluator
from stitcherd.jobs.simulation import SIMULATION_CHUNK, SimulationScope, simulate
from stitcherd.rails.compiled import CompiledRails
from stitcherd.rails.load import parse_rails
from stitcherd.store import retention
from stitcherd.store.store import Store
from tests.stitcherd.rails.contexts import SMALL
from tests.stitcherd.store.factories import add_delivery, new_delivery
from tests.stores import open_store

SETTINGS = """
[sources.forge]
kind = "github"
secrets = [{file = "secret"}]
[repositories."*"]
clone = "/nowhere"
[executors.smith]
kind = "command"
argv = ["true"]
"""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(tmp_path / "stitcher.db")
    yield store
    await store.close()


@pytest.fixture
def evaluator(tmp_path: Path) -> Evaluator:
    (tmp_path / "secret").touch(mode=0o600)
    (tmp_path / "secret").write_text("a secret of the forge")
    (tmp_path / "stitcherd.toml").write_text(SETTINGS)
    return Evaluator(load_settings(tmp_path, SUPPORTED_KINDS))


def comment(login: str, number: int) -> bytes:
    user = {"login": login}
    document = {
        "action": "created",
        "issue": {"number": number + 1, "title": "It leaks", "user": user},
        "comment": {"body": "@mosaic mend", "user": user},
        "repository": {"full_name": "acme/roof"},
        "sender": user,
    }
    return json.dumps(document).encode()


async def add(
    store: Store,
    evaluator: Evaluator,
    rails: CompiledRails,
    *,
    login: str = "ann",
    at: int = 1000,
    body: bytes = b"",
    source: str = "forge",
) -> str:
    body = body or comment(login, at)
    found = evaluator._settings.sources["forge"]
    headers = {"X-GitHub-Event": "issue_comment", "Content-Type": "application/json"}
    _, evaluation = evaluator.evaluate(found, headers, comment(login, at), form=False, rails=rails)
    new = new_delivery(
        source=source,
        received_at=at,
        sender=f"forge:{login}",
        body=body,
        headers=headers,
        actor="source:forge",
        decision=evaluation.decision,
    )
    await add_delivery(store, new)
    return new.id


async def test_changes_are_returned_newest_first(store: Store, evaluator: Evaluator) -> None:
    ids = [
        await add(store, evaluator, parse_rails(SMALL), login=login, at=at)
        for at, login in enumerate(("ann", "eve", "ann", "bob"))
    ]
    other = parse_rails(SMALL.replace("forge:ann", "forge:eve"))
    result = await simulate(store, evaluator, other, SimulationScope(100))
    assert (result.deliveries, result.skipped) == (4, {})
    assert [change.delivery_id for change in result.changed] == [ids[2], ids[1], ids[0]]
    assert result.counts == {"allowed→denied": 2, "denied→allowed": 1}
    assert {change.decision.rails_revision for change in result.changed} == {other.revision}
    assert (await simulate(store, evaluator, other, SimulationScope(2))).counts == {"allowed→denied": 1}
    assert (await simulate(store, evaluator, other, SimulationScope(100, since=2))).deliveries == 2
    assert (await simulate(store, evaluator, other, SimulationScope(100, since=9))).deliveries == 0
    assert (await simulate(store, evaluator, other, SimulationScope(100, workspace="far"))).deliveries == 0
    assert (await simulate(store, evaluator, parse_rails(SMALL), SimulationScope(100))).changed == ()


async def test_deliveries_that_cannot_be_decided_again_are_counted(store: Store, evaluator: Evaluator) -> None:
    await add(store, evaluator, parse_rails(SMALL), at=1)
    await store.write(retention.prune_bodies, 2)
    await add(store, evaluator, parse_rails(SMALL), at=3)
    await add(store, evaluator, parse_rails(SMALL), at=4, source="gone")
    await add(store, evaluator, parse_rails(SMALL), at=5, body=b"{")
    result = await simulate(
        store, evaluator, parse_rails(SMALL.replace("forge:ann", "forge:eve")), SimulationScope(100)
    )
    assert (result.deliveries, len(result.changed)) == (1, 1)
    assert result.skipped == {"bodyGone": 1, "sourceGone": 1, "unreadable": 1}


async def test_a_long_simulation_does_not_block_the_event_loop(store: Store, evaluator: Evaluator) -> None:
    many = 40 * SIMULATION_CHUNK
    rails = parse_rails(SMALL)
    await asyncio.gather(*(add(store, evaluator, rails, at=at) for at in range(many)))
    iterations = 0

    async def others() -> None:
        nonlocal iterations
        while True:
            await asyncio.sleep(0)
            iterations += 1

    task = asyncio.create_task(others())
    result = await simulate(store, evaluator, parse_rails(SMALL), SimulationScope(many))
    task.cancel()
    assert result.deliveries == many
    assert iterations >= many / SIMULATION_CHUNK


async def test_a_result_that_is_too_large_is_refused(
    store: Store, evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    rails, other = parse_rails(SMALL), parse_rails(SMALL.replace("forge:ann", "forge:eve"))
    for at in range(4):
        await add(store, evaluator, rails, at=at)
    (one,) = (await simulate(store, evaluator, other, SimulationScope(1))).changed
    monkeypatch.setattr(simulation, "CHECKS_MAX", 3 * len(one.decision.checks))
    assert len((await simulate(store, evaluator, other, SimulationScope(3))).changed) == 3
    with pytest.raises(Refusal, match="too much would change"):
        await simulate(store, evaluator, other, SimulationScope(4))
