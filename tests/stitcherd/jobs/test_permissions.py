"""What forges tell of permissions, as decisions use it; the questions themselves are tested with the deliveries."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stitcherd.forges.models import AccessLevel
from stitcherd.jobs.known_access import ACCESS_MAX_AGE, KnownAccess
from stitcherd.policy import ACCESS_RANKS, AccountAccess
from stitcherd.store.store import Store
from tests.stores import open_store

NOW = 1_000_000_000_000


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(tmp_path / "stitcher.db")
    yield store
    await store.close()


def test_rails_and_forges_order_the_levels_alike() -> None:
    assert {level.name.lower(): level.value for level in AccessLevel} == ACCESS_RANKS


async def test_an_answer_is_known_for_a_minute_and_to_the_next_daemon(store: Store) -> None:
    times = {"now": NOW}
    known = KnownAccess(store, {"forge"}, lambda: times["now"])
    await known.keep("forge", "Acme/Roof", "7", "write", NOW)
    wanted = {"7": AccountAccess("write", NOW)}
    assert known.of("forge", "acme/roof") == wanted
    assert known.of("other", "acme/roof") == known.of("forge", "acme/wall") == known.of("forge", None) == {}
    later = KnownAccess(store, {"forge"}, lambda: times["now"])
    await later.load()
    assert later.of("forge", "ACME/roof") == wanted
    times["now"] = NOW + ACCESS_MAX_AGE - 1
    assert known.of("forge", "acme/roof") == wanted
    times["now"] = NOW + ACCESS_MAX_AGE
    assert known.of("forge", "acme/roof") == later.of("forge", "acme/roof") == {}
    times["now"] = NOW - 1  # the clock was set back: nobody knows how old the answer is
    assert known.of("forge", "acme/roof") == {}


async def test_what_is_forgotten_is_not_known_to_the_next_daemon_either(store: Store) -> None:
    known = KnownAccess(store, {"forge"}, lambda: NOW)
    for repository in ("acme/roof", "acme/wall"):
        await known.keep("forge", repository, "7", "write", NOW)
    before = known.generation("forge")
    await known.forget("forge", "Acme/Roof")
    assert known.generation("forge") != before
    assert (known.of("forge", "acme/roof"), len(known.of("forge", "acme/wall"))) == ({}, 1)
    await known.forget("forge", None)
    later = KnownAccess(store, {"forge"}, lambda: NOW)
    await later.load()
    assert known.of("forge", "acme/wall") == later.of("forge", "acme/wall") == {}
