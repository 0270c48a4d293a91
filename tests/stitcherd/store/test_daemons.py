"""Leases: who shares a store, whose lease is over, and what of the jobs is left by those who are gone."""

from typing import Any

import pytest
from msgspec.structs import replace

from shared.ids import new_id, now_ms
from shared.models import RunnerJob
from stitcherd.store import daemons, events, interruptions, rows, transitions
from stitcherd.store.daemons import LeftJob, NameTaken, NewDaemon
from stitcherd.store.store import Store
from tests.stitcherd.store.factories import dispatch, new_job

LEASE = 600_000  # ms: it ends when a test says so


def process(name: str = "one", **more: Any) -> NewDaemon:
    default = NewDaemon(
        id=new_id(), name=name, host="here", state_dir=f"/{name}", pid=1, role="worker", version="0", workers=2
    )
    return replace(default, **more)


async def join(store: Store, name: str = "one", lease: int | None = LEASE, **more: Any) -> NewDaemon:
    joined = process(name, **more)
    await store.write(daemons.join, joined, lease, now_ms())
    return joined


async def end(store: Store, one: NewDaemon, ago: int = 1) -> None:
    """Let a lease be over for some milliseconds, and give up whose lease is over."""
    await store.write(lambda db: db.execute("UPDATE daemons SET until = database_ms() - ? WHERE id = ?", (ago, one.id)))
    async with store.reading() as db:
        assert (await daemons.what_is_left(db, "me", "far", "far", LEASE)).is_over
    assert await store.write(daemons.end_leases, now_ms()) == [one.name]


async def living(store: Store) -> list[str]:
    async with store.reading() as db:
        return [each.name for each in await daemons.living_daemons(db)]


async def left(store: Store, by: NewDaemon) -> list[LeftJob]:
    async with store.reading() as db:
        found = await daemons.left_jobs(db, by.id, by.host, by.name, LEASE)
        seen = await daemons.what_is_left(db, by.id, by.host, by.name, LEASE)
        assert (seen.is_over, seen.has_jobs) == (False, bool(found))
        return found


async def told(store: Store) -> list[tuple[str, str]]:
    def read(db: Any) -> list[tuple[str, str]]:
        found = db.execute(
            "SELECT type, json_extract(payload, '$.name') AS name FROM events WHERE job IS NULL"
        ).fetchall()
        return [(row["type"], row["name"]) for row in found]

    return await store.write(read)


async def run_job(store: Store, owner: NewDaemon) -> RunnerJob:
    job = await dispatch(store, new_job())
    started = await store.write(transitions.start, job.id, 1, owner.id, now_ms())
    assert started is not None
    return started[0]


async def test_a_job_has_the_name_of_what_runs_it_only_while_it_runs(store: Store) -> None:
    one = await join(store)
    job = await run_job(store, one)
    assert job.worker == "one"
    ended = await store.write(transitions.cancel, job.id, "uid:0", None, now_ms())
    assert ended.worker == "one"
    await store.write(transitions.end_cancelled, job.id, now_ms(), (1, one.id))
    row = await store.write(lambda db: transitions.find_job_row(db, job.id))
    assert rows.job(row).worker is None


async def test_a_lease_without_an_end_is_told_to_nobody(store: Store) -> None:
    await join(store, "before", None)
    await join(store, "now", None)
    assert await living(store) == ["now"]
    assert await store.write(daemons.end_leases, now_ms()) == []
    assert await told(store) == []


async def test_who_joins_and_who_is_gone_is_told(store: Store) -> None:
    one, two = await join(store), await join(store, "two")
    assert await living(store) == ["one", "two"]
    assert await store.write(daemons.beat, one.id, LEASE, ["agent"])
    await end(store, one)
    await store.write(daemons.leave, two.id, now_ms(), told=True)
    assert await living(store) == []
    assert not await store.write(daemons.beat, one.id, LEASE, ["agent"])
    joined, gone = "daemon.joined", "daemon.gone"
    assert await told(store) == [(joined, "one"), (joined, "two"), (gone, "one"), (gone, "two")]


async def test_what_all_workspaces_are_told_has_nothing_that_only_the_operator_may_see(store: Store) -> None:
    one = await join(store)
    await store.write(daemons.leave, one.id, now_ms(), told=True)
    async with store.reading() as db:
        (joined, _), (gone, _) = await events.events_after(db, 0, 10)
    assert joined.payload == {"name": "one", "role": "worker", "workers": 2}
    assert gone.payload == {"name": "one", "role": "worker", "reason": "it was stopped"}


async def test_a_process_with_the_same_state_directory_was_started_again(store: Store) -> None:
    before = await join(store)
    job = await run_job(store, before)
    after = await join(store)
    assert await living(store) == ["one"]
    assert await left(store, after) == [LeftJob(job.id, 1, before.id, "here", "one", is_for_all=True)]


async def test_a_name_is_that_of_one_process(store: Store) -> None:
    one = await join(store)
    with pytest.raises(NameTaken, match="another worker is named one"):
        await join(store, state_dir="/elsewhere")
    await end(store, one)
    await join(store, state_dir="/elsewhere")


async def test_a_name_is_free_once_the_lease_is_over_though_nobody_was_there_to_end_it(store: Store) -> None:
    await join(store, lease=-1)
    await join(store, host="elsewhere")
    assert await living(store) == ["one"]
    assert [type_ for type_, _ in await told(store)] == ["daemon.joined", "daemon.gone", "daemon.joined"]


async def test_what_is_left_is_for_those_on_the_same_machine_first(store: Store) -> None:
    gone = await join(store, host="there")
    job = await run_job(store, gone)
    far, near = await join(store, "far"), await join(store, "near", host="there")
    assert await left(store, far) == []
    await end(store, gone)
    assert await left(store, far) == []
    found = LeftJob(job.id, 1, gone.id, "there", "one", is_for_all=False)
    assert await left(store, near) == [found]
    await end(store, near)
    assert await left(store, far) == [replace(found, is_for_all=True)], "nobody is there"
    await join(store, "again", host="there")
    assert await left(store, far) == []
    await store.write(lambda db: db.execute("UPDATE daemons SET until = until - ? WHERE gone = 1", (LEASE,)))
    assert await left(store, far) == [found], "another lease is over"
    await store.write(lambda db: db.execute("UPDATE daemons SET until = until - ? WHERE gone = 1", (LEASE,)))
    assert await left(store, far) == [replace(found, is_for_all=True)], "and a further one"


async def test_a_job_is_adopted_once(store: Store) -> None:
    gone = await join(store)
    job = await run_job(store, gone)
    await end(store, gone)
    two, three = await join(store, "two"), await join(store, "three")
    assert await store.write(interruptions.adopt, job.id, 1, gone.id, two.id)
    assert not await store.write(interruptions.adopt, job.id, 1, gone.id, three.id)
    assert await left(store, three) == []
    assert await store.write(interruptions.recover, job.id, (1, gone.id), now_ms()) is None
    assert await store.write(interruptions.recover, job.id, (1, two.id), now_ms()) == "QUEUED"
    await join(store, "four")
    assert await living(store) == ["two", "three", "four"]
    gone_rows = await store.write(lambda db: db.execute("SELECT name FROM daemons WHERE gone = 1").fetchall())
    assert gone_rows == [], "nothing is left of the one that is gone"


async def test_cancels_are_found_by_the_owner_of_the_job(store: Store) -> None:
    one, two = await join(store), await join(store, "two")
    job = await run_job(store, one)
    await store.write(transitions.cancel, job.id, "uid:0", None, now_ms())
    async with store.reading() as db:
        assert await daemons.cancelled_jobs(db, one.id) == [job.id]
        assert await daemons.cancelled_jobs(db, two.id) == []


async def test_the_next_look_is_when_a_lease_may_be_over(store: Store) -> None:
    one = await join(store)
    async with store.reading() as db:
        soon = (await daemons.what_is_left(db, one.id, "here", "one", LEASE)).next
    assert soon is not None
    assert LEASE - 60_000 < soon <= LEASE
    await run_job(store, one)
    await end(store, one)
    async with store.reading() as db:
        assert (await daemons.what_is_left(db, "me", "far", "far", LEASE)).next == 0
