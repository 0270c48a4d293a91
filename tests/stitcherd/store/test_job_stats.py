"""Statistics: what is counted when, how it is grouped, and that a migration counts the same afterwards."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from shared.models import Failure, Phase, Result, RunnerJob, StepStatus, StepType, Usage
from shared.stats import GateStats, Grouping, JobOutcomes, Median, Percentiles, Stats, StatsItem, TryCounts
from stitcherd import metrics
from stitcherd.store import jobs, retries, steps, transitions
from stitcherd.store.job_stats import StatsReader
from stitcherd.store.migrate import migrations, split_statements
from stitcherd.store.sqlite_connections import WritingConnection
from stitcherd.store.store import Store
from tests.stitcherd.store.factories import dispatch

Make = Callable[..., Any]
NOW = 1_795_356_300_000  # 2026-11-22T14:05:00Z
HOUR = 3_600_000
DAY = 24 * HOUR
COMPLETED = Result(None, 0, 0, 0, "no changes")
FAILED = Failure("gates_failed", "gate tests failed")
STATS_TABLES = {"job_stats", "gate_stats"}


async def start(store: Store, job: jobs.NewJob, at: int, wait: int = 7) -> steps.Fence:
    stored = await dispatch(store, job, now=at - wait)
    return await claim(store, stored, at)


async def claim(store: Store, job: RunnerJob, at: int) -> steps.Fence:
    claimed = await store.write(transitions.start, job.id, job.attempt, "me", at)
    assert claimed is not None
    return claimed[1]


async def end(store: Store, fence: steps.Fence, at: int, outcome: Result | Failure = COMPLETED) -> None:
    await store.write(transitions.conclude, fence.job_id, (fence.attempt, fence.owner), at, outcome)


async def run_gate(store: Store, fence: steps.Fence, at: int, took: int, *, passed: bool, name: str = "tests") -> None:
    kind: dict[str, Any] = {"phase": Phase.VALIDATION, "type_": StepType.GATE, "name": name, "number": 1}
    place = await store.write(steps.open_step, fence, at - took, **kind)
    status = StepStatus.COMPLETED if passed else StepStatus.FAILED
    ending: dict[str, Any] = {"status": status, "exit_code": 0, "output": "", "output_bytes": 0}
    for _ in range(2):  # the second changes nothing
        await store.write(steps.close_step, fence, place, at, **ending)


async def run_agent(store: Store, fence: steps.Fence, number: int, at: int, used: Usage | None = None) -> None:
    kind: dict[str, Any] = {"phase": Phase.EXECUTION, "type_": StepType.AI_ACTION, "name": "agent"}
    place = await store.write(steps.open_step, fence, at, number=number, start=steps.TryStart(), **kind)
    if used is not None:
        await store.write(steps.add_usage, fence, place, used, at)


async def stats(
    store: Store, by: Grouping = Grouping.DAY, since: int = NOW - 14 * DAY, workspace: str | None = None
) -> Stats:
    async with store.reading() as db:
        return await StatsReader().read(db, workspace, by, since)


async def test_without_jobs_there_are_no_items(store: Store) -> None:
    for by in Grouping:
        assert (await stats(store, by)).items == ()
    assert (await stats(store)).since == "2026-11-08T00:00:00.000Z"


async def test_everything_about_one_job(store: Store, new_job: Make) -> None:
    fence = await start(store, new_job(), NOW, wait=7)
    await run_agent(store, fence, 1, NOW, Usage(100, 10, 0.25, 2))
    await run_gate(store, fence, NOW + 5, 5, passed=False)
    await run_agent(store, fence, 2, NOW, Usage(10, 1, 0.5, 2))
    await run_gate(store, fence, NOW + 9, 9, passed=True)
    await run_gate(store, fence, NOW + 9, 1, passed=True, name="lint")
    await end(store, fence, NOW + 10)
    expected = StatsItem(
        key="2026-11-22",
        jobs=JobOutcomes(1, 0, 0),
        duration_ms=Percentiles(10, 10),
        queue_wait_ms=Percentiles(7, 7),
        gates=(GateStats("lint", 1, 0, Median(1)), GateStats("tests", 1, 1, Median(5))),
        tries=TryCounts(0, 1),
        input_tokens=110,
        output_tokens=11,
        cost_usd=0.75,
    )
    assert (await stats(store)).items == (expected,)


async def test_usage_and_tries_are_counted_in_the_metrics_too(store: Store, new_job: Make) -> None:
    labels = {"executor": "counted", "direction": "input"}
    later = metrics.REGISTRY.get_sample_value("stitcher_tries_total", {"try": "later"}) or 0
    fence = await start(store, new_job(executor="counted"), NOW)
    for number in (1, 2):
        await run_agent(store, fence, number, NOW, Usage(100, 10, 0.25, 2))
    assert metrics.REGISTRY.get_sample_value("stitcher_tokens_total", labels) == 200
    assert metrics.REGISTRY.get_sample_value("stitcher_cost_dollars_total", {"executor": "counted"}) == 0.5
    assert metrics.REGISTRY.get_sample_value("stitcher_tries_total", {"try": "later"}) == later + 1


async def test_groups_have_keys_of_their_kind(store: Store, new_job: Make) -> None:
    await end(store, await start(store, new_job(), NOW), NOW)
    keys = {by: [item.key for item in (await stats(store, by)).items] for by in Grouping}
    assert keys == {
        Grouping.DAY: ["2026-11-22"],
        Grouping.HOUR: ["2026-11-22T14:00Z"],
        Grouping.TYPE: ["fix"],
        Grouping.REPOSITORY: ["acme/roof"],
        Grouping.EXECUTOR: ["agent"],
    }


async def test_repositories_are_the_same_whatever_their_case_and_none_is_empty(store: Store, new_job: Make) -> None:
    for repository, at in (("acme/roof", NOW), ("Acme/Roof", NOW), ("ACME/roof", NOW + DAY), (None, NOW)):
        fence = await start(store, new_job(repository=repository), at)
        await run_gate(store, fence, at, 1, passed=True)
        await end(store, fence, at)
    found = (await stats(store, Grouping.REPOSITORY)).items
    assert [(item.key.lower(), item.jobs.completed) for item in found] == [("acme/roof", 3), ("", 1)]
    assert [item.gates[0].passed for item in found] == [3, 1]


async def test_outcomes_and_first_tries(store: Store, new_job: Make) -> None:
    for outcome in (COMPLETED, COMPLETED, FAILED):
        fence = await start(store, new_job(), NOW)
        await run_agent(store, fence, 1, NOW)
        await end(store, fence, NOW + 1, outcome)
    queued = await dispatch(store, new_job(), now=NOW)
    await store.write(transitions.cancel, queued.id, "uid:0", None, NOW)
    [item] = (await stats(store)).items
    assert (item.jobs, item.tries) == (JobOutcomes(2, 1, 1), TryCounts(2, 1))


async def test_a_cancelled_job_counts_for_no_duration(store: Store, new_job: Make) -> None:
    fence = await start(store, new_job(), NOW)
    await store.write(transitions.cancel, fence.job_id, "uid:0", None, NOW)
    await end(store, fence, NOW + 500)
    [item] = (await stats(store)).items
    assert (item.jobs, item.duration_ms, item.queue_wait_ms) == (
        JobOutcomes(0, 0, 1),
        Percentiles(None, None),
        Percentiles(None, None),
    )


async def test_a_retried_job_has_ended_twice(store: Store, new_job: Make) -> None:
    fence = await start(store, new_job(), NOW)
    await end(store, fence, NOW + 1, FAILED)
    again = await store.write(retries.retry, fence.job_id, "uid:0", NOW + DAY)
    await end(store, await claim(store, again, NOW + DAY), NOW + DAY + 1)
    found = (await stats(store)).items
    assert [(item.key, item.jobs) for item in found] == [
        ("2026-11-22", JobOutcomes(0, 1, 0)),
        ("2026-11-23", JobOutcomes(1, 0, 0)),
    ]


async def test_a_skipped_or_interrupted_gate_neither_passed_nor_failed(store: Store, new_job: Make) -> None:
    fence = await start(store, new_job(), NOW)
    kind: dict[str, Any] = {"phase": Phase.VALIDATION, "type_": StepType.GATE, "name": "tests", "number": 1}
    skipped = await store.write(steps.open_step, fence, NOW, **kind)
    ending: dict[str, Any] = {"status": StepStatus.SKIPPED, "exit_code": None, "output": "", "output_bytes": 0}
    await store.write(steps.close_step, fence, skipped, NOW, **ending)
    await store.write(steps.open_step, fence, NOW, **kind)
    await end(store, fence, NOW, FAILED)
    assert (await stats(store)).items[0].gates == ()


async def test_a_transition_that_failed_counts_nothing(store: Store, new_job: Make) -> None:
    fence = await start(store, new_job(), NOW)
    await end(store, steps.Fence(fence.job_id, fence.key, fence.workspace, 9, "else"), NOW)
    assert (await stats(store)).items == ()


async def test_a_gate_may_end_in_an_hour_without_the_end_of_a_job(store: Store, new_job: Make) -> None:
    fence = await start(store, new_job(), NOW)
    await run_gate(store, fence, NOW, 1, passed=True)
    await end(store, fence, NOW + HOUR)
    before, after = (await stats(store, Grouping.HOUR)).items
    assert (before.jobs, [gate.name for gate in before.gates]) == (JobOutcomes(0, 0, 0), ["tests"])
    assert (after.jobs, after.gates) == (JobOutcomes(1, 0, 0), ())


async def test_a_period_begins_with_its_whole_hour_or_day(store: Store, new_job: Make) -> None:
    for at in (NOW - DAY, NOW - HOUR, NOW):
        await end(store, await start(store, new_job(), at), at)
    by_hour, by_type = await stats(store, Grouping.HOUR, NOW + 1), await stats(store, Grouping.TYPE, NOW + 1)
    assert (by_hour.since, [item.key for item in by_hour.items]) == ("2026-11-22T14:00:00.000Z", ["2026-11-22T14:00Z"])
    assert (by_type.since, by_type.items[0].jobs.completed) == ("2026-11-22T00:00:00.000Z", 2)
    assert (await stats(store, since=NOW + DAY)).items == ()


async def test_a_workspace_sees_its_own(store: Store, new_job: Make) -> None:
    for workspace, count in (("default", 1), ("lab", 2)):
        for _ in range(count):
            fence = await start(store, new_job(workspace=workspace), NOW)
            await run_gate(store, fence, NOW, 1, passed=True)
            await end(store, fence, NOW)
    for who, expected in (("default", 1), ("lab", 2), ("other", None), (None, 3)):
        for by in Grouping:
            found = [(i.jobs.completed, i.gates[0].passed) for i in (await stats(store, by, workspace=who)).items]
            assert found == ([(expected, expected)] if expected else [])


async def test_what_is_kept_of_past_days_adds_up_with_the_days_since(store: Store, new_job: Make) -> None:
    at = NOW

    async def count(repository: str, when: int, took: int) -> None:
        fence = await start(store, new_job(repository=repository), when)
        await run_agent(store, fence, 1, when, Usage(100, 10, 0.25, 2))
        await run_gate(store, fence, when + took, took, passed=took > 5)
        await end(store, fence, when + took)

    reader = StatsReader(lambda: at)
    for repository, when, took in (("acme/roof", NOW - DAY, 5), ("acme/roof", NOW, 90), ("acme/barn", NOW - DAY, 7)):
        await count(repository, when, took)
    for repository, days, took in (("Acme/Roof", 1, 40), ("acme/shed", 1, 3), ("acme/barn", 2, 20_000)):
        at = NOW + days * DAY
        await count(repository, at, took)
        for by in Grouping:
            for workspace in (None, "default"):
                async with store.reading() as db:
                    kept = await reader.read(db, workspace, by, NOW - DAY)
                    anew = await StatsReader(lambda: NOW - 9 * DAY).read(db, workspace, by, NOW - DAY)
                assert by_key(kept) == by_key(anew)
    [item] = kept.items  # by executor, the last grouping
    assert (item.key, item.jobs.completed, item.gates[0].passed) == ("agent", 6, 4)


def by_key(found: Stats) -> dict[str, StatsItem]:
    """Return the items by their keys, whose case may be that of any day."""
    return {item.key.lower(): structs.replace(item, key="") for item in found.items}


async def test_past_days_are_not_added_up_again_but_the_last_hour_of_one_is(store: Store, new_job: Make) -> None:
    midnight = NOW // DAY * DAY + DAY
    at = midnight + HOUR // 2
    reader = StatsReader(lambda: at)

    async def completed() -> int:
        async with store.reading() as db:
            return sum(item.jobs.completed for item in (await reader.read(db, None, Grouping.TYPE, NOW)).items)

    assert await completed() == 0
    await end(store, await start(store, new_job(), midnight - 5), midnight - 1)
    assert await completed() == 1, "it was stored late"
    at = midnight + 2 * HOUR
    assert await completed() == 1
    await store.write(lambda db: db.execute("DELETE FROM job_stats"))
    assert await completed() == 1, "what is kept"


async def test_a_period_that_moves_by_days_is_that_which_is_read_anew(store: Store, new_job: Make) -> None:
    for day, repository in enumerate(("acme/roof", "acme/barn", "Acme/Roof", "acme/shed", "acme/roof", None)):
        when = NOW + day * DAY
        fence = await start(store, new_job(repository=repository), when)
        await run_agent(store, fence, 1, when, Usage(day, 10, 0.1 * day, 2))
        await run_gate(store, fence, when + 5, 5, passed=day % 2 == 0, name=("tests", "lint")[day % 2])
        await end(store, fence, when + 20 * day)
    at = NOW
    reader = StatsReader(lambda: at)
    keys = []
    for now, since in ((4, 0), (5, 1), (6, 3), (6, 0), (7, 6), (9, 8), (9, 3)):
        at = NOW + now * DAY
        async with store.reading() as db:
            kept = await reader.read(db, None, Grouping.REPOSITORY, NOW + since * DAY)
            anew = await StatsReader(reader._now).read(db, None, Grouping.REPOSITORY, NOW + since * DAY)
        assert by_key(kept) == by_key(anew)
        keys.append(len(kept.items))
    assert keys == [4, 4, 3, 4, 0, 0, 3]


async def test_only_the_days_in_which_periods_differ_are_read(store: Store, new_job: Make) -> None:
    for day in range(4):
        await end(store, await start(store, new_job(), NOW + day * DAY), NOW + day * DAY)
    at = NOW + 3 * DAY
    reader = StatsReader(lambda: at)

    async def completed(since: int) -> int:
        async with store.reading() as db:
            return sum(item.jobs.completed for item in (await reader.read(db, None, Grouping.TYPE, since)).items)

    assert await completed(NOW) == 4
    await store.write(lambda db: db.execute("DELETE FROM job_stats WHERE start = ?", (NOW // DAY * DAY + DAY,)))
    at = NOW + 4 * DAY
    assert await completed(NOW + DAY) == 3, "the sums of the day that was deleted are kept"


@pytest.mark.sqlite
async def test_the_migration_counts_what_ended_before_as_the_daemon_would_have(
    store: Store, path: Path, new_job: Make
) -> None:
    for number in range(40):
        at = NOW + number * 5 * HOUR
        job = new_job(
            type=("fix", "review")[number % 2],
            repository=(None, "acme/roof", "Acme/Roof", "acme/barn")[number % 4],
            workspace=("default", "lab")[number % 3 == 0],
        )
        fence = await start(store, job, at, wait=number**3)
        await run_agent(store, fence, 1 + number % 2, at, Usage(number, 2, 0.5, 1) if number % 5 else None)
        await run_gate(store, fence, at + 7, number**4, passed=number % 3 > 0)
        if number % 7 == 0:
            await store.write(transitions.cancel, fence.job_id, "uid:0", None, at)
        await end(store, fence, at + 7 + number**4, FAILED if number % 4 == 0 else COMPLETED)
    queued = await dispatch(store, new_job(), now=NOW)
    await store.write(transitions.cancel, queued.id, "uid:0", None, NOW)
    await dispatch(store, new_job(), now=NOW)
    await store.close()
    with closing(sqlite3.connect(path, isolation_level=None, factory=WritingConnection)) as db:
        counted = counts(db)
        for table in STATS_TABLES:
            db.execute(f"DROP TABLE {table}")
        [script] = [script for _, script in migrations() if "CREATE TABLE job_stats" in script]
        for statement in split_statements(script):
            db.execute(statement)
        assert counts(db) == counted
        assert not db.execute("SELECT name FROM sqlite_temp_schema WHERE name NOT LIKE 'sqlite_%'").fetchall()


def counts(db: WritingConnection) -> dict[str, list[Any]]:
    """Return the rows of the statistics, histograms with their buckets in order, names in one case."""
    found = {}
    for table in STATS_TABLES:
        rows = db.execute(f"SELECT * FROM {table} ORDER BY grouping, start, workspace, name").fetchall()
        found[table] = [tuple(map(_comparable, row)) for row in rows]
    return found


def _comparable(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return sorted(value.strip("{}").split(",")) if value.startswith("{") else value.lower()
