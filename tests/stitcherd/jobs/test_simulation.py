"""Simulations over a real store: what is decided again, what is not, and that nobody waits for it."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stitcherd.config.load import load_settings
from stitcherd.daemon import SUPPORTED_KINDS
from stitcherd.jobs.evaluator import Evaluator
from stitcherd.jobs.simulation import SIMULATION_CHUNK, SimulationScope, simulate
from stitcherd.rails.compiled import CompiledRails
from stitcherd.rails.load import parse_rails
from stitcherd.store import deliveries, retention
from stitcherd.store.sqlite import Store
from tests.stitcherd.rails.contexts import SMALL
from tests.stitcherd.store.factories import new_delivery

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
    store = await Store.open(tmp_path / "stitcher.db")
    yield store
    await store.close()


@pytest.fixture
def judge(tmp_path: Path) -> Evaluator:
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
    judge: Evaluator,
    rulebook: CompiledRails,
    *,
    login: str = "ann",
    at: int = 1000,
    body: bytes = b"",
    source: str = "forge",
) -> str:
    body = body or comment(login, at)
    found = judge._settings.sources["forge"]
    headers = {"X-GitHub-Event": "issue_comment", "Content-Type": "application/json"}
    _, ruling = judge.rule(found, headers, comment(login, at), form=False, rulebook=rulebook)
    new = new_delivery(
        source=source,
        received_at=at,
        sender=f"forge:{login}",
        body=body,
        headers=headers,
        actor="source:forge",
        decision=ruling.decision,
    )
    await store.write(deliveries.add_delivery, new)
    return new.id


async def test_only_what_changes_is_told_newest_first(store: Store, judge: Evaluator) -> None:
    ids = [
        await add(store, judge, parse_rails(SMALL), login=login, at=at)
        for at, login in enumerate(("ann", "eve", "ann", "bob"))
    ]
    other = parse_rails(SMALL.replace("forge:ann", "forge:eve"))
    said = await simulate(store, judge, other, SimulationScope(100))
    assert (said.deliveries, said.skipped) == (4, {})
    assert [each.delivery_id for each in said.changed] == [ids[2], ids[1], ids[0]]
    assert said.counts == {"allowed→denied": 2, "denied→allowed": 1}
    assert {each.decision.rails_revision for each in said.changed} == {other.revision}
    assert (await simulate(store, judge, other, SimulationScope(2))).counts == {"allowed→denied": 1}
    assert (await simulate(store, judge, other, SimulationScope(100, since=2))).deliveries == 2
    assert (await simulate(store, judge, other, SimulationScope(100, since=9))).deliveries == 0
    assert (await simulate(store, judge, other, SimulationScope(100, workspace="far"))).deliveries == 0
    assert (await simulate(store, judge, parse_rails(SMALL), SimulationScope(100))).changed == ()


async def test_what_cannot_be_decided_again_is_counted_apart(store: Store, judge: Evaluator) -> None:
    await add(store, judge, parse_rails(SMALL), at=1)
    await store.write(retention.prune_bodies, 2)
    await add(store, judge, parse_rails(SMALL), at=3)
    await add(store, judge, parse_rails(SMALL), at=4, source="gone")
    await add(store, judge, parse_rails(SMALL), at=5, body=b"{")
    said = await simulate(store, judge, parse_rails(SMALL.replace("forge:ann", "forge:eve")), SimulationScope(100))
    assert (said.deliveries, len(said.changed)) == (1, 1)
    assert said.skipped == {"bodyGone": 1, "sourceGone": 1, "unreadable": 1}


async def test_a_long_simulation_takes_turns_with_everybody_else(store: Store, judge: Evaluator) -> None:
    many = 40 * SIMULATION_CHUNK
    rulebook = parse_rails(SMALL)
    await asyncio.gather(*(add(store, judge, rulebook, at=at) for at in range(many)))
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(others())
    said = await simulate(store, judge, parse_rails(SMALL), SimulationScope(many))
    task.cancel()
    assert said.deliveries == many
    assert turns >= many / SIMULATION_CHUNK
