"""Leases: who shares a store, whose lease is over, and what of the jobs is left by those who are gone."""

from typing import Any

import pytest
from msgspec.structs import replace

from shared.ids import new_id, now_ms
from shared.models import RunnerJob
from stitcherd.store import daemons, events, interruptions, rows, transitions
from stitcherd.store.daemons import CannotJoin, LeftJob, NewDaemon
from stitcherd.store.store import Store
from tests.stitcherd.store.factories import dispatch, new_job

LEASE = 600_000  # ms: it ends when a test says so


def process(name: str = "one", **more: Any) -> NewDaemon:
    """Return a process with a state directory of its own, on a machine with others; all have one host name and path."""
    default = NewDaemon(
        id=new_id(),
        name=name,
        host="localhost",
        state_dir="/state",
        state_id=f"state of {name}",
        lock_id=f"lock of {name}",
        machine="here",
        pid=1,
        role="worker",
        version="0",
        workers=2,
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
        assert (await daemons.what_is_left(db, "me", "far", "of nobody", LEASE)).is_over
    assert await store.write(daemons.end_leases, now_ms()) == [one.name]


async def living(store: Store) -> list[str]:
    async with store.reading() as db:
        return sorted(each.name for each in await daemons.living_daemons(db))  # two may be of one millisecond


async def left(store: Store, by: NewDaemon) -> list[LeftJob]:
    async with store.reading() as db:
        found = await daemons.left_jobs(db, by.id, by.machine, by.state_id, LEASE)
        seen = await daemons.what_is_left(db, by.id, by.machine, by.state_id, LEASE)
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
    assert await left(store, after) == [LeftJob(job.id, 1, before.id, before.state_id, is_for_all=True)]


async def test_a_name_is_that_of_one_process(store: Store) -> None:
    one = await join(store)
    with pytest.raises(CannotJoin, match="another worker is named one"):
        await join(store, state_id="another", lock_id="another")
    await end(store, one)
    await join(store, state_id="another", lock_id="another")


async def test_a_state_directory_after_a_restart_of_the_machine_or_a_copy_of_it_waits_for_the_lease(
    store: Store,
) -> None:
    """Neither the host's name nor any path tells the two from each other."""
    one = await join(store)
    job = await run_job(store, one)
    for name in ("one", "another"):
        with pytest.raises(CannotJoin, match="is a copy of the state directory of the worker one"):
            await join(store, name, state_id=one.state_id, lock_id="on another machine", machine="there")
    assert await living(store) == ["one"]
    assert (await store.write(lambda db: transitions.find_job_row(db, job.id)))["owner"] == one.id
    assert await store.write(daemons.beat, one.id, LEASE, [])
    await end(store, one)
    after = await join(store, state_id=one.state_id, lock_id="on another machine", machine="there")
    assert await left(store, after) == [LeftJob(job.id, 1, one.id, one.state_id, is_for_all=True)]


async def test_the_same_lock_file_with_another_state_directory_waits_for_the_lease(store: Store) -> None:
    one = await join(store)
    with pytest.raises(CannotJoin, match="another worker is named one"):
        await join(store, lock_id=one.lock_id, state_id="of a new directory, whose file has the same number")
    assert await living(store) == ["one"]


async def test_a_name_is_free_once_the_lease_is_over_though_nobody_was_there_to_end_it(store: Store) -> None:
    await join(store, lease=-1)
    await join(store, lock_id="another")
    assert await living(store) == ["one"]
    assert [type_ for type_, _ in await told(store)] == ["daemon.joined", "daemon.gone", "daemon.joined"]


async def test_what_is_left_is_for_those_on_the_same_machine_first(store: Store) -> None:
    gone = await join(store, machine="there")
    job = await run_job(store, gone)
    far, near = await join(store, "far"), await join(store, "near", machine="there")
    assert await left(store, far) == []
    await end(store, gone)
    assert await left(store, far) == []
    found = LeftJob(job.id, 1, gone.id, gone.state_id, is_for_all=False)
    assert await left(store, near) == [found]
    await end(store, near)
    assert await left(store, far) == [replace(found, is_for_all=True)], "nobody is there"
    await join(store, "again", machine="there")
    assert await left(store, far) == []
    await store.write(lambda db: db.execute("UPDATE daemons SET until = until - ? WHERE gone = 1", (LEASE,)))
    assert await left(store, far) == [found], "another lease is over"
    await store.write(lambda db: db.execute("UPDATE daemons SET until = until - ? WHERE gone = 1", (LEASE,)))
    assert await left(store, far) == [replace(found, is_for_all=True)], "and a further one"


async def test_a_process_that_moved_with_its_state_directory_has_what_it_left(store: Store) -> None:
    gone = await join(store, machine="there")
    job = await run_job(store, gone)
    await join(store, "near", machine="there")
    await end(store, gone)
    moved = await join(store, "renamed", machine="elsewhere", lock_id="elsewhere", state_id=gone.state_id)
    assert await left(store, moved) == [LeftJob(job.id, 1, gone.id, gone.state_id, is_for_all=False)]


async def test_jobs_of_an_earlier_version_have_their_checkout_where_the_process_of_their_name_has_it(
    store: Store,
) -> None:
    """An earlier version stored the name of the process, and before that nothing, where there was one daemon."""
    job, other, unnamed = [await run_job(store, await join(store, name)) for name in ("one", "two", "three")]
    await store.write(lambda db: db.execute("UPDATE daemons SET gone = 1, state_id = NULL, lock_id = NULL"))
    await store.write(lambda db: db.execute("UPDATE jobs SET state_id = NULL, tries_used = 1"))
    await store.write(lambda db: db.execute("UPDATE jobs SET worker = NULL WHERE id = ?", (unnamed.id,)))
    await join(store, "one", state_id="worker")
    await join(store, "four", state_id="daemon", role="daemon")
    found = await store.write(lambda db: db.execute("SELECT id, state_id FROM jobs").fetchall())
    assert {row["id"]: row["state_id"] for row in found} == {job.id: "worker", other.id: None, unnamed.id: "daemon"}


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
    assert await living(store) == ["four", "three", "two"]
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
        soon = (await daemons.what_is_left(db, one.id, one.machine, one.state_id, LEASE)).next
    assert soon is not None
    assert LEASE - 60_000 < soon <= LEASE
    await run_job(store, one)
    await end(store, one)
    async with store.reading() as db:
        assert (await daemons.what_is_left(db, "me", "far", "of nobody", LEASE)).next == 0
