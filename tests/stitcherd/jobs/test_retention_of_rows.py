"""Retention of jobs and deliveries: what goes with them, what keeps them, and that the file becomes smaller."""

import sqlite3
from contextlib import closing
from pathlib import Path
from random import randbytes
from typing import Any

import pytest

from shared.ids import new_id, now_ms
from shared.models import Phase, Result, RunnerJob, StepType, Usage, Verdict
from stitcherd.config.settings import RetentionSettings
from stitcherd.errors import Refusal
from stitcherd.jobs import retention
from stitcherd.store import (
    answers,
    approvals,
    deliveries,
    jobs,
    outbox,
    publications,
    retries,
    sqlite_connections,
    steps,
    transitions,
)
from stitcherd.store import retention as store_retention
from stitcherd.store.answers import DesiredAnswer
from stitcherd.store.db import Db
from stitcherd.store.decisions import forget_decisions
from stitcherd.store.repetitions import RepeatedDelivery
from stitcherd.store.store import Store
from tests import stores
from tests.stitcherd.store.batches import trace
from tests.stitcherd.store.factories import (
    add_delivery,
    approval_request,
    dispatch,
    new_delivery,
    new_job,
    reevaluation,
)
from tests.stores import open_store

DAY = 86_400_000


def kept(events: int, dedupe: int) -> RetentionSettings:
    """Return settings in days."""
    return RetentionSettings.model_construct(events=events * 86400.0, dedupe=dedupe * 86400.0)


KEPT = kept(10, 20)
OF_JOBS = ("jobs", "job_texts", "job_search", "approvals", "starts", "publications", "steps", "spending", "events")


@pytest.fixture
async def store(tmp_path: Path) -> Any:
    store = await open_store(tmp_path / "stitcher.db")
    yield store
    if stores.kind == "sqlite":
        async with store.reading() as db:
            assert list(await db.execute_fetchall("PRAGMA foreign_key_check")) == []
    await store.close()


def days_ago(days: float) -> int:
    return now_ms() - int(days * DAY)


async def count(store: Store, table: str) -> int:
    async with store.reading() as db:
        [row] = await db.execute_fetchall(f"SELECT count(*) AS n FROM {table}")
    return int(row["n"])


async def listed(store: Store) -> tuple[set[str], dict[str, int]]:
    """Return the ids of all jobs, and the counts other than 0."""
    async with store.reading() as db:
        page = await jobs.job_page(db, jobs.JobFilter(), 100)
    return {job.id for job in page.items}, {status: n for status, n in page.counts.items() if n}


async def ended_job(store: Store, began: float, ended: float | None, **more: Any) -> RunnerJob:
    """Return a job with rows in every table, that began so many days ago, and has ended unless `ended` is None."""
    at, delivery = days_ago(began), new_id()
    new = new_job(actor="source:forge", delivery_id=delivery, approval=approval_request(expires_at=at + DAY), **more)
    await add_delivery(store, new_delivery(id=delivery, received_at=at, external_id=delivery), new)
    await store.write(approvals.approve, new.id, "uid:0", None, at)
    started = await store.write(transitions.start, new.id, 1, "me", at)
    assert started is not None
    job, fence = started
    await store.write(steps.begin_try, fence, 1, at, steps.TryStart())
    place = await store.write(
        steps.open_step, fence, at, phase=Phase.EXECUTION, type_=StepType.AI_ACTION, name="agent", number=1
    )
    await store.write(steps.add_usage, fence, place, Usage(1, 1, 0.1, 1), at)
    if ended is not None:
        done = Result("c0ffee", 1, 1, 0, "")
        await store.write(publications.begin_publication, fence, done, at, "r1")
        await store.write(transitions.conclude, job.id, (1, "me"), days_ago(ended), done)
    return job


async def test_a_job_goes_with_all_that_belongs_to_it(store: Store) -> None:
    gone = await ended_job(store, 12, 11)
    late = await ended_job(store, 12, 9)
    unfinished = await ended_job(store, 12, None)
    for table in OF_JOBS:
        assert await count(store, table) >= 2, "each has rows of these"
    await retention.remove_rows(store, KEPT, now_ms())
    assert await listed(store) == ({late.id, unfinished.id}, {"completed": 1, "running": 1})
    for table in OF_JOBS[:7]:
        assert await count(store, table) == 2 - (table == "publications"), table
    with pytest.raises(Refusal, match="there is no job"):
        async with store.reading() as db:
            await jobs.get_job(db, gone.id[-8:], None)
    assert await count(store, "deliveries") == await count(store, "decisions") == 3, "they are remembered longer"


async def test_a_job_stays_as_long_as_one_of_its_events(store: Store) -> None:
    job = await ended_job(store, 12, 11)
    await store.write(answers.put_answers, [wish(job)], 0, days_ago(11))
    taken = await store.write(outbox.take_answer, "forge", days_ago(11))
    assert taken is not None
    await store.write(outbox.note_sent, taken, "1", None, days_ago(9))  # appends answer.sent
    await retention.remove_rows(store, KEPT, now_ms())
    assert (await listed(store))[0] == {job.id}
    await retention.remove_rows(store, kept(8, 20), now_ms())
    assert await listed(store) == (set(), {})
    assert await count(store, "answers") == 0


def wish(job: RunnerJob) -> DesiredAnswer:
    return DesiredAnswer(
        source="forge",
        workspace="default",
        repository="acme/roof",
        slot="comment:issue/7",
        kind="comment",
        desired="{}",
        job_id=job.id,
    )


async def test_a_job_with_an_undelivered_answer_stays(store: Store) -> None:
    job = await ended_job(store, 12, 11)
    await store.write(answers.put_answers, [wish(job)], 0, days_ago(11))
    await retention.remove_rows(store, KEPT, now_ms())
    assert (await listed(store))[0] == {job.id}


@pytest.mark.parametrize(("days", "same"), [(12, True), (21, False)])
async def test_a_job_stays_as_long_as_its_idempotency_key_counts(store: Store, days: int, same: bool) -> None:
    keyed = {"idempotency_key": "k", "request_sha256": "0"}
    first = await dispatch(store, new_job(**keyed), now=days_ago(days))
    await store.write(transitions.cancel, first.id, "uid:0", None, days_ago(days))
    await retention.remove_rows(store, KEPT, now_ms())
    assert ((await dispatch(store, new_job(**keyed))).id == first.id) is same


async def test_a_repetition_is_answered_with_a_job_that_is_gone(store: Store) -> None:
    job = await ended_job(store, 12, 11)
    await retention.remove_rows(store, KEPT, now_ms())
    again = new_delivery(external_id=job.delivery_id)
    outcome = await add_delivery(store, again, new_job(delivery_id=again.id))
    assert isinstance(outcome, RepeatedDelivery)
    assert (outcome.first.job_id, outcome.job) == (job.id, None)


async def test_a_delivery_goes_after_it_counts_no_more(store: Store) -> None:
    verdicts = {}
    for days in (19.0, 21.0):
        for verdict in (Verdict.IGNORED, Verdict.DECIDING):
            new = new_delivery(received_at=days_ago(days), verdict=verdict, external_id=new_id())
            await add_delivery(store, new)
            verdicts[new.id] = (days, verdict)
    unfinished = await ended_job(store, 21, None)
    gone = await ended_job(store, 21, 15)
    await retention.remove_rows(store, KEPT, now_ms())
    async with store.reading() as db:
        page = await deliveries.delivery_page(db, deliveries.DeliveryFilter(), 100)
    left = {each.id for each in page.items}
    assert [verdicts[each] for each in verdicts if each not in left] == [(21.0, Verdict.IGNORED)]
    assert unfinished.delivery_id in left
    assert gone.delivery_id not in left
    assert await count(store, "decisions") == 4, "one of each delivery that is left"
    assert await count(store, "delivery_bodies") == 3, "of the undecided ones, and of the unfinished job"


async def test_deliveries_stay_as_long_as_events_if_that_is_longer(store: Store) -> None:
    await ended_job(store, 8, 7)
    await retention.remove_rows(store, kept(10, 1), now_ms())
    assert await count(store, "deliveries") == 1


async def test_what_stays_does_not_keep_a_batch_from_going_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_retention, "JOB_BATCH", 2)
    monkeypatch.setattr(store_retention, "RETENTION_BATCH", 2)
    monkeypatch.setattr(retention, "BATCH_PAUSE_SECONDS", 0.0)
    ended = days_ago(11)
    left = []
    for number in range(12):
        job = await dispatch(store, new_job(idempotency_key=f"k{number}" if number % 4 < 2 else None), now=ended)
        await store.write(transitions.cancel, job.id, "uid:0", None, ended)  # all at the same time
        left += [job.id] if number % 4 < 2 else []
    await retention.remove_rows(store, KEPT, now_ms())
    assert await listed(store) == (set(left), {"cancelled": 6})


async def test_a_job_that_is_retried_meanwhile_stays(store: Store) -> None:
    jobs_ended = []
    for _ in range(2):
        job = await dispatch(store, new_job(), now=days_ago(11))
        await store.write(transitions.cancel, job.id, "uid:0", None, days_ago(11))
        jobs_ended.append(job)
    while await store.write(store_retention.prune_events, days_ago(10), now_ms()):
        pass
    async with store.reading() as db:
        found = await store_retention.expired_jobs(db, store_retention.RowPlace(), days_ago(10), 0)
    assert len(found) == 2
    await store.write(retries.retry, jobs_ended[0].id, "uid:0", now_ms())
    assert await store.write(store_retention.delete_jobs, found) == 1
    assert await listed(store) == ({jobs_ended[0].id}, {"queued": 1})


async def test_a_list_goes_on_after_a_row_that_is_gone(store: Store) -> None:
    old = [await ended_job(store, 30, ended, id=f"01a21af0-0000-7000-8000-00000000000{number}", workspace="near")
           for number, ended in enumerate((None, 29, 29, None))]  # fmt: skip
    await retention.remove_rows(store, KEPT, now_ms())
    async with store.reading() as db:
        for before, left in ((3, [0]), (2, [0]), (1, [0]), (0, [])):
            page = await jobs.job_page(db, jobs.JobFilter(before=old[before].id, workspace="near"), 100)
            assert [job.id for job in page.items] == [old[each].id for each in left]
        for unknown, workspace in (
            ("01a21af0-0000-7000-8000-000000000009", "near"),
            (old[2].id[-8:], "near"),
            (old[0].id, "far"),
        ):
            with pytest.raises(Refusal, match="there is no job"):
                await jobs.job_page(db, jobs.JobFilter(before=unknown, workspace=workspace), 100)


async def test_a_decision_that_is_replaced_is_forgotten(store: Store) -> None:
    job = await dispatch(store, new_job(approval=approval_request()))
    async with store.reading() as db:
        _, seen = await approvals.find_waiting(db, job.id)
    await store.write(approvals.replace_request, job.id, seen, reevaluation(), now_ms())
    assert await count(store, "decisions") == 1
    async with store.reading() as db:
        assert (await jobs.get_job_detail(db, job.id, None)).decision == reevaluation().decision
    job = await ended_job(store, 1, None)
    await store.write(store_decisions_of_nobody)
    assert await count(store, "decisions") == 2, "a decision of a job and its delivery stays"


def store_decisions_of_nobody(db: Db) -> None:
    forget_decisions(db, [row["key"] for row in db.execute("SELECT key FROM decisions")])


@pytest.mark.sqlite
async def test_retention_reads_by_indices(store: Store) -> None:
    statements: list[str] = []
    await ended_job(store, 30, 29)
    await ended_job(store, 12, 1)
    await store.write(trace, statements.append)
    await retention.remove_rows(store, KEPT, now_ms())
    await store.write(trace, None)
    explained = [each for each in statements if each.lstrip().startswith(("DELETE", "SELECT"))]
    assert len(explained) > 15
    explained += [bound(each) for each in (store_retention._EXPIRED_JOBS, store_retention._EXPIRED_DELIVERIES)]
    for each in explained:
        plan = await store.write(lambda db, each: db.execute(f"EXPLAIN QUERY PLAN {each}").fetchall(), each)
        scans = [row["detail"] for row in plan if row["detail"].startswith("SCAN") and "json_each" not in row["detail"]]
        # they are small, and a SQLite file has no pieces
        allowed = {"SCAN hits", "SCAN removed_events", "SCAN sqlite_sequence", "SCAN pieces"}
        # in the order of their keys, up to the first one that is too young
        allowed |= {"SCAN events", "SCAN answers"} if "LIMIT 1" in each else set()
        assert {scan.split(" USING")[0] for scan in scans} <= allowed, (each, scans)


def bound(statement: str) -> str:
    for name in (":at", ":key", ":before", ":seen_since", ":limit"):
        statement = statement.replace(name, "1")
    return statement


def file_size(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("PRAGMA page_count").fetchone()[0]) * 4096


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.sqlite
async def test_the_file_becomes_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new: bool) -> None:
    monkeypatch.setattr(sqlite_connections, "FREE_PAGES_KEPT", 10)
    monkeypatch.setattr(sqlite_connections, "VACUUM_PAGES", 100)
    monkeypatch.setattr(retention, "BATCH_PAUSE_SECONDS", 0.0)
    path = tmp_path / "stitcher.db"
    if not new:  # as earlier versions have created it
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("CREATE TABLE other (n)")
    store = await open_store(path)
    for _ in range(50):
        await add_delivery(store, new_delivery(body=randbytes(50_000), received_at=days_ago(11)))
    large = file_size(path)
    await retention.remove_rows(store, KEPT, now_ms())
    await store.close()
    assert large > 2_500_000
    assert path.stat().st_size < 700_000 if new else path.stat().st_size == large
    if not new:  # as docs/operations.md says
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            db.execute("VACUUM")
            assert db.execute("PRAGMA auto_vacuum").fetchone() == (2,)
        assert path.stat().st_size < 700_000
