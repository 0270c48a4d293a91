"""Rates, slots and the switch in the store, against the plainest way to count."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.ids import format_timestamp, new_id
from shared.models import Check, CheckOutcome, Decision, RunnerJob, Status, Verdict
from stitcherd.errors import Refusal
from stitcherd.policy import ConcurrencyLimits
from stitcherd.rails.limits import is_bot
from stitcherd.store import jobs, limits, retention, scheduling, transitions
from stitcherd.store.limits import BotCooldown, RateLimit
from stitcherd.store.sqlite import Store

ALLOWED = Decision(
    Verdict.ALLOWED,
    "trigger word",
    "r-1",
    checks=(Check("limit:per_sender", "limit", CheckOutcome.PASS, 9, None, "2/h"),),
)
QUOTA = RateLimit("per_sender", 9, "2/h", 2, 3_600_000, "forge:ann", "default")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(tmp_path / "stitcher.db")
    yield store
    await store.close()


def new_job(**more: Any) -> jobs.NewJob:
    usual: dict[str, Any] = {
        "id": new_id(),
        "workspace": "default",
        "type": "fix",
        "profile": "weaver",
        "executor": "agent",
        "priority": 5,
        "repository": "acme/roof",
        "ref": "main",
        "thread": None,
        "prompt": "mend",
        "metadata": {},
        "tries_max": 1,
        "on_interrupt": "fail",
        "rails_revision": "r-1",
        "actor": "uid:1",
        "origin": {},
    }
    return jobs.NewJob(**usual | more)


async def add(store: Store, now: int = 0, **more: Any) -> RunnerJob:
    return (await store.write(jobs.dispatch, new_job(**more), ALLOWED, now))[0]


async def claim(store: Store, job: RunnerJob, slots: ConcurrencyLimits) -> Any:
    return await store.write(scheduling.claim, job.id, job.attempt, "me", 1, slots)


async def test_a_rate_is_used_up_and_then_free_again(store: Store) -> None:
    for at in (1000, 2000):
        await add(store, at, limits=(QUOTA,))
    with pytest.raises(Refusal) as refused:
        await add(store, 3000, limits=(QUOTA,))
    assert (refused.value.code, refused.value.retry_after) == ("throttled", 3599)
    until = format_timestamp(3_601_000)
    assert refused.value.detail == f"limit per_sender: 2/h for forge:ann is used up until {until}"
    decision = refused.value.more["decision"]
    assert (decision["verdict"], decision["checks"][0]["outcome"]) == ("throttled", "fail")
    assert decision["remedy"] == {"text": f"ask again after {until}, or raise per_sender", "line": 9}
    await add(store, 3_601_000, limits=(QUOTA,))
    with pytest.raises(Refusal):
        await add(store, 3_601_001, limits=(QUOTA,))


async def test_each_counts_for_itself(store: Store) -> None:
    for who, workspace in (("forge:ann", "default"), ("forge:bob", "default"), ("forge:ann", "far")):
        for _ in range(2):
            await add(store, limits=(RateLimit("per_sender", 9, "2/h", 2, 1000, who, workspace),))


async def test_the_tightest_of_several_says_when(store: Store) -> None:
    slow = RateLimit("per_repo", 10, "1/d", 1, 86_400_000, "acme/roof", "default")
    quick = RateLimit("per_sender", 9, "1/h", 1, 3_600_000, "forge:ann", "default")
    await add(store, limits=(slow, quick))
    with pytest.raises(Refusal, match="limit per_repo"):
        await add(store, limits=(slow, quick))


@contextmanager
def memory() -> Iterator[Any]:
    import sqlite3

    db = sqlite3.connect(":memory:")
    db.row_factory = sqlite3.Row
    db.execute("CREATE TABLE hits (limit_key TEXT, at INTEGER, job TEXT, PRIMARY KEY (limit_key, at, job))")
    try:
        yield db
    finally:
        db.close()


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 4), st.integers(1, 30), st.lists(st.integers(0, 10), max_size=40))
def test_no_window_ever_holds_more_than_the_rate(most: int, window: int, gaps: list[int]) -> None:
    quota = RateLimit("per_repo", 1, "x", most, window, "acme/roof", "default")
    taken: list[int] = []
    now = 0
    with memory() as db:
        for number, gap in enumerate(gaps):
            now += gap
            (use,) = limits.read_uses(db, (quota,), now)
            recent = [at for at in taken if at > now - window]
            assert use.seen.startswith(f"{len(recent)} of {most} ")
            assert (use.free_at is not None) == (len(recent) >= most)
            if use.free_at is None:
                limits.count_job(db, (quota,), str(number), now)
                taken.append(now)
            else:
                assert use.free_at == recent[0] + window > now
    assert all(sum(at <= other < at + window for other in taken) <= most for at in taken)


async def test_held_jobs_go_by_priority_and_then_by_age(store: Store) -> None:
    first = await add(store)
    assert isinstance(await claim(store, first, ConcurrencyLimits(total=1)), tuple)
    low, high, also_high = [await add(store, priority=priority) for priority in (1, 9, 9)]
    for job in (low, also_high, high):
        assert await claim(store, job, ConcurrencyLimits(total=1)) == scheduling.Held("limit: 1 running in all")
    assert await store.write(scheduling.find_startable, ConcurrencyLimits(total=1), 4, 1) == (True, [])
    held, up = await store.write(scheduling.find_startable, ConcurrencyLimits(total=3), 4, 1)
    assert (held, [job for job, _, _ in up]) == (True, [high.id, also_high.id])
    assert len((await store.write(scheduling.find_startable, ConcurrencyLimits(), 4, 1))[1]) == 3
    assert len((await store.write(scheduling.find_startable, ConcurrencyLimits(), 1, 1))[1]) == 1


async def test_a_full_repository_is_stepped_over(store: Store) -> None:
    slots = ConcurrencyLimits(per_repo=1)
    assert isinstance(await claim(store, await add(store), slots), tuple)
    jobs = [await add(store, repository=name) for name in ("Acme/Roof", "acme/cellar", "acme/cellar")]
    reasons = [await claim(store, job, slots) for job in jobs]
    assert reasons[0] == scheduling.Held("limit: 1 running on Acme/Roof")
    assert isinstance(reasons[1], tuple)
    assert reasons[2] == scheduling.Held("limit: 1 running on acme/cellar")
    assert await store.write(scheduling.find_startable, slots, 4, 1) == (True, [])
    assert isinstance(await claim(store, await add(store, repository=None), slots), tuple)


async def test_the_reason_is_kept_with_the_job_and_told_once(store: Store) -> None:
    await claim(store, await add(store), ConcurrencyLimits(total=1))
    job = await add(store)
    for _ in range(3):
        await claim(store, job, ConcurrencyLimits(total=1))
    async with store.reading() as db:
        found = await jobs.get_job_detail(db, job.id, None)
    assert (found.held, found.status, found.version) == ("limit: 1 running in all", Status.QUEUED, job.version + 1)
    assert isinstance(found.events, tuple)
    assert [event.payload for event in found.events if "held" in event.payload] == [
        {"attempt": 1, "held": "limit: 1 running in all"}
    ]
    claimed = await claim(store, job, ConcurrencyLimits(total=2))
    assert (claimed[0].held, claimed[0].status) == (None, Status.RUNNING)
    assert await claim(store, job, ConcurrencyLimits()) is None


async def test_nothing_starts_while_paused(store: Store) -> None:
    first, second = await add(store), await add(store)
    await claim(store, first, ConcurrencyLimits())
    paused = await store.write(scheduling.pause, "uid:1", "away", 5)
    assert (paused.paused, paused.actor, paused.reason, paused.running) == (True, "uid:1", "away", (first.id,))
    again = await store.write(scheduling.pause, "uid:2", None, 6)
    assert again == paused
    assert await claim(store, second, ConcurrencyLimits()) == scheduling.Held(scheduling.PAUSED_REASON)
    assert await store.write(scheduling.find_startable, ConcurrencyLimits(), 4, 1) == (True, [])
    assert (await store.write(scheduling.resume)).queued == 1
    full = ConcurrencyLimits(total=1)
    assert (await store.write(scheduling.find_startable, full, 4, 1))[1] == [(second.id, 1, 5)], (
        "to say what else holds it"
    )
    assert await claim(store, second, full) == scheduling.Held("limit: 1 running in all")
    assert await store.write(scheduling.find_startable, full, 4, 1) == (True, [])
    assert (await store.write(scheduling.find_startable, ConcurrencyLimits(), 4, 1))[1] == [(second.id, 1, 5)]
    assert isinstance(await claim(store, second, ConcurrencyLimits()), tuple)
    assert await store.write(scheduling.find_startable, ConcurrencyLimits(), 4, 1) == (False, [])


async def test_a_held_job_that_is_cancelled_is_held_no_more(store: Store) -> None:
    await store.write(scheduling.pause, "uid:1", None, 5)
    job = await add(store)
    await claim(store, job, ConcurrencyLimits())
    cancelled = await store.write(transitions.cancel, job.id, "uid:1", None, 6)
    assert cancelled.held is None
    assert await store.write(scheduling.find_startable, ConcurrencyLimits(), 4, 1) == (False, [])
    assert await claim(store, job, ConcurrencyLimits()) is None


async def test_what_no_window_reaches_is_forgotten(store: Store) -> None:
    for at in (1000, 5000):
        await add(store, at, limits=(QUOTA,))
    assert await store.write(retention.prune_hits, 5000) == 1
    assert (await store.write(limits.read_uses, (QUOTA,), 5000))[0].seen == "1 of 2 by now for forge:ann"


async def test_jobs_of_an_executor_that_is_away_wait_and_others_do_not(store: Store) -> None:
    away = ConcurrencyLimits(away={"claw": "connection refused"})
    waits, runs = await add(store, executor="claw"), await add(store)
    assert await claim(store, waits, away) == scheduling.Held("executor claw: connection refused")
    assert await store.write(scheduling.find_startable, away, 4, 1) == (True, [])
    job, _ = await claim(store, runs, away)
    assert job.status is Status.RUNNING
    assert await store.write(scheduling.find_startable, ConcurrencyLimits(), 4, 1) == (True, [(waits.id, 1, 5)])
    job, _ = await claim(store, waits, ConcurrencyLimits())
    assert job.status is Status.RUNNING


def chain(*, bot: bool = True, thread: str = "acme/roof#7 (issue)") -> BotCooldown:
    return BotCooldown(thread, "default", bot)


async def test_bots_that_ask_in_a_row_rest_longer_and_longer(store: Store) -> None:
    now, minute = 0, 60_000
    for _ in range(limits.BOT_JOBS_FREE):
        now += minute
        await add(store, now, limits=(chain(),))
    for rest in (15, 30, 60, 120, 240, 480):
        free_at = now + rest * minute
        with pytest.raises(Refusal) as refused:
            await add(store, free_at - 1, limits=(chain(),))
        assert refused.value.code == "throttled"
        assert refused.value.detail.endswith(
            f"times in a row on acme/roof#7 (issue), and rest until {format_timestamp(free_at)}"
        )
        remedy = refused.value.more["decision"]["remedy"]["text"]
        assert remedy == f"a person asks on the thread, or ask again after {format_timestamp(free_at)}"
        await add(store, free_at, limits=(chain(),))
        now = free_at


async def test_a_person_who_asks_ends_the_row(store: Store) -> None:
    for now in range(limits.BOT_JOBS_FREE):
        await add(store, now, limits=(chain(),))
    await add(store, 5, limits=(chain(thread="acme/roof#8 (issue)"),))
    with pytest.raises(Refusal, match="bots asked 4 times in a row"):
        await add(store, 6, limits=(chain(),))
    await add(store, 7, limits=(chain(bot=False),))
    for now in range(8, 8 + limits.BOT_JOBS_FREE):
        await add(store, now, limits=(chain(),))
    with pytest.raises(Refusal, match="limit loop"):
        await add(store, 20, limits=(chain(),))


async def test_a_bot_that_asks_now_and_then_is_never_held_up(store: Store) -> None:
    for hour in range(0, 200, 7):
        await add(store, hour * 3_600_000, limits=(chain(),))


@pytest.mark.parametrize(
    ("account", "bot"),
    [
        ("github:renovate[bot]", True),
        ("gitlab:project_7_bot_9f2c", True),
        ("gitlab:group_12_bot", True),
        ("gitea:renovate-bot", True),
        ("gitea:gitea-actions", True),
        ("github:octocat", False),
        ("github:abbot", False),
        ("github:bottle", False),
        ("github:robotics-fan", False),
        (None, False),
    ],
)
def test_a_bot_is_known_by_its_name(account: str | None, bot: bool) -> None:
    assert is_bot(account) is bot
