"""Deliveries that share a batch: what comes of each is what came of it one after the other."""

import sqlite3
from collections.abc import Callable
from itertools import groupby
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.deliveries import Via
from shared.ids import now_ms
from shared.models import Decision, Status, Thread, Verdict
from stitcherd.policy import AccountSighting, JobLimit
from stitcherd.rails.compiled import RateRule
from stitcherd.rails.limits import bot_cooldown, rate_limit
from stitcherd.store import deliveries, events, jobs, transitions
from stitcherd.store.accounts import AccountTaken
from stitcherd.store.db import Db, Found
from stitcherd.store.deliveries import JobAlreadyOpen, NewDelivery, Outcome, StoredDelivery
from stitcherd.store.errors import Conflict, StorageUnavailable
from stitcherd.store.jobs import NewJob
from stitcherd.store.limits import LimitsReached
from stitcherd.store.migrate import migrate
from stitcherd.store.repetitions import RepeatedDelivery
from stitcherd.store.sqlite_connections import WritingConnection
from stitcherd.store.store import Store
from tests.stitcherd.store import factories
from tests.stitcherd.store.batches import in_one_batch, trace
from tests.stitcherd.store.factories import add_delivery, approval_request

Make = Callable[..., Any]
Pair = tuple[NewDelivery, NewJob | None]

THREAD = Thread("issue", 7)
ASKING = Decision(Verdict.DECIDING, "asking forge", "r1")
TABLES = (
    "deliveries",
    "delivery_bodies",
    "decisions",
    "jobs",
    "job_texts",
    "job_counts",
    "job_search",
    "approvals",
    "hits",
    "accounts",
    "events",
)


def rate(maximum: int, subject: str = "forge:ann") -> JobLimit:
    return rate_limit(RateRule("per_sender", 9, "2/h", maximum, 3_600_000), "default", subject)


def content(db: Db) -> dict[str, list[tuple[Any, ...]]]:
    return {table: [tuple(row) for row in db.execute(f"SELECT * FROM {table}")] for table in TABLES}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"external_id": "d1"}, {"external_id": "d1"}),
        ({"body_sha256": "b1"}, {"body_sha256": "b1", "same_body_since": 0}),
        ({"subject": "comment:1"}, {"subject": "comment:1", "via": Via.PULL}),
    ],
)
async def test_a_repetition_in_the_same_batch_names_the_first_one(
    store: Store, new_delivery: Make, new_job: Make, first: dict[str, Any], second: dict[str, Any]
) -> None:
    one, job = new_delivery(**first), new_job(thread=THREAD)
    done = await in_one_batch(
        store,
        add_delivery(store, one, job),
        add_delivery(store, new_delivery(**second), new_job()),
        add_delivery(store, new_delivery(), new_job()),
    )
    assert isinstance(done[1], RepeatedDelivery)
    assert done[1].first.id == one.id
    assert done[1].job is not None
    assert done[1].job.id == job.id
    assert [done[0], done[2]] == [StoredDelivery(), StoredDelivery()]
    assert len((await store.write(content))["jobs"]) == 2


async def test_a_thread_gets_one_job_of_a_type_in_a_batch(store: Store, new_delivery: Make, new_job: Make) -> None:
    first = new_job(thread=THREAD, repository="acme/roof")
    done = await in_one_batch(
        store,
        add_delivery(store, new_delivery(), first),
        add_delivery(store, new_delivery(), new_job(thread=THREAD, repository="Acme/ROOF")),
        add_delivery(store, new_delivery(), new_job(thread=THREAD, repository="acme/roof", type="review")),
    )
    assert isinstance(done[1], JobAlreadyOpen)
    assert done[1].job.id == first.id
    assert [done[0], done[2]] == [StoredDelivery(), StoredDelivery()]


async def test_what_is_between_two_deliveries_of_a_batch_happens_between_them(
    store: Store, new_delivery: Make, new_job: Make, allowed: Decision
) -> None:
    first, second, by_hand = (new_job(thread=THREAD, limits=(rate(2),)) for _ in range(3))
    done = await in_one_batch(
        store,
        add_delivery(store, new_delivery(), first),
        store.write(transitions.cancel, first.id, "uid:0", None, now_ms()),
        add_delivery(store, new_delivery(), second),
        store.write(jobs.dispatch, by_hand, allowed, now_ms()),
    )
    assert done[0] == done[2] == StoredDelivery()
    assert done[1].status is Status.CANCELLED
    assert isinstance(done[3], LimitsReached)


async def test_a_dispatch_in_a_batch_counts_for_the_delivery_behind_it(
    store: Store, new_delivery: Make, new_job: Make, allowed: Decision
) -> None:
    done = await in_one_batch(
        store,
        add_delivery(store, new_delivery(), new_job(limits=(rate(2),))),
        store.write(jobs.dispatch, new_job(limits=(rate(2),)), allowed, now_ms()),
        add_delivery(store, new_delivery(), new_job(limits=(rate(2),))),
    )
    assert done[0] == StoredDelivery()
    assert isinstance(done[2], LimitsReached)


async def test_a_rate_is_exact_within_a_batch(store: Store, new_delivery: Make, new_job: Make) -> None:
    writes = [add_delivery(store, new_delivery(), new_job(limits=(rate(3),))) for _ in range(10)]
    done = await in_one_batch(store, *writes)
    assert [isinstance(each, LimitsReached) for each in done] == [False] * 3 + [True] * 7
    async with store.reading() as db:
        page = await deliveries.delivery_page(db, deliveries.DeliveryFilter(), 99)
        decisions = [(await deliveries.get_delivery(db, each.id, None)).decision for each in page.items]
    assert len(decisions) == 3


async def test_a_delivery_that_fails_fails_alone(store: Store, new_delivery: Make, new_job: Make) -> None:
    taken = (AccountSighting("forge:ann", "2", "1"),)
    good = [new_delivery() for _ in range(5)]
    done = await in_one_batch(
        store,
        *(add_delivery(store, each, new_job()) for each in good[:3]),
        add_delivery(store, new_delivery(accounts=taken), new_job()),
        add_delivery(store, new_delivery(id=good[0].id)),
        add_delivery(store, new_delivery(reason="\ud800")),
        *(add_delivery(store, each, new_job()) for each in good[3:]),
    )
    assert [type(each) for each in done[3:6]] == [AccountTaken, Conflict, UnicodeEncodeError]
    assert {*done[:3], *done[6:]} == {StoredDelivery()}
    found = await store.write(content)
    assert [row[1] for row in found["deliveries"]] == [each.id for each in good]
    assert len(found["jobs"]) == 5


class FailingCommit:
    """A connection whose COMMIT fails as on a broken disk."""

    def __init__(self, db: Db) -> None:
        self.db = db
        self.commits = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.db, name)

    def execute(self, statement: str, *values: Any) -> Found:
        self.commits += statement == "COMMIT"
        if statement == "COMMIT" and self.commits > 1:  # the first is of what holds the writer
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error
        return self.db.execute(statement, *values)


@pytest.mark.sqlite
async def test_a_disk_error_in_the_commit_fails_all_and_stores_nothing(
    store: Store, new_delivery: Make, new_job: Make
) -> None:
    await add_delivery(store, new_delivery(), new_job())
    engine: Any = store._writer._engine
    before, db = await store.write(content), engine.db
    engine.db = FailingCommit(db)
    again = [(new_delivery(), new_job(limits=(rate(9, str(at)),))) for at in range(5)]
    done = await in_one_batch(store, *(add_delivery(store, *each) for each in again))
    assert [type(each) for each in done] == [StorageUnavailable] * 5
    engine.db = db
    assert await store.write(content) == before
    assert await in_one_batch(store, *(add_delivery(store, *each) for each in again)) == [StoredDelivery()] * 5
    found = await store.write(content)
    assert [row[0] for row in found["deliveries"]] == [row[0] for row in found["jobs"]] == [1, 2, 3, 4, 5, 6]


async def test_keys_are_not_used_again(store: Store, new_delivery: Make) -> None:
    async def newest() -> Any:
        return (await store.write(content))["deliveries"][-1][0]

    for _ in range(3):
        await add_delivery(store, new_delivery())
    last = await newest()
    for table, column in (("delivery_bodies", "delivery"), ("deliveries", "key")):
        await store.write(lambda db, statement: db.execute(statement), f"DELETE FROM {table} WHERE {column} = {last}")
    await add_delivery(store, new_delivery())
    assert await newest() == last + 1


@pytest.mark.sqlite
async def test_a_batch_has_as_many_statements_as_one_delivery(store: Store, new_delivery: Make, new_job: Make) -> None:
    statements: list[str] = []
    await store.write(trace, statements.append)

    async def count(deliveries_: int) -> int:
        statements.clear()
        threads = [Thread("issue", at) for at in range(deliveries_)]
        await in_one_batch(store, *(add_delivery(store, new_delivery(), new_job(thread=each)) for each in threads))
        assert statements.count("COMMIT") == 2, "of what holds the writer, and of the batch"
        return len(list(groupby(statements)))  # a trigger repeats its statement

    one = await count(1)
    await store.write(lambda db: db.execute("UPDATE jobs SET status = 'CANCELLED'"))
    assert await count(64) == one


async def test_the_events_of_a_delivery_follow_each_other(store: Store, new_delivery: Make, new_job: Make) -> None:
    new = [new_delivery() for _ in range(3)]
    await in_one_batch(store, *(add_delivery(store, each, new_job(delivery_id=each.id)) for each in new))
    async with store.reading() as db:
        found = [event for event, _ in await events.events_after(db, 0, 99)]
    assert [event.type for event in found] == ["delivery.received", "job.created", "job.queued"] * 3
    assert [event.payload["deliveryId"] for event in found[::3]] == [each.id for each in new]


@pytest.mark.sqlite
async def test_look_ups_use_indices(store: Store, new_delivery: Make, new_job: Make) -> None:
    statements: list[str] = []
    await store.write(trace, statements.append)
    await in_one_batch(
        store, *(add_delivery(store, new_delivery(), new_job(thread=Thread("issue", at))) for at in (1, 2))
    )
    looked_up = [each for each in statements if each.lstrip().startswith("WITH asked")]
    assert len(looked_up) == 4, "a batch of two is looked up one by one, as there are few lengths of statements"
    for each in looked_up:
        plan = await store.write(lambda db, each: db.execute(f"EXPLAIN QUERY PLAN {each}").fetchall(), each)
        about = [row["detail"] for row in plan if row["detail"].startswith(("SCAN", "SEARCH"))]
        assert {detail.split()[0] for detail in about if detail.split()[1] in {"d", "j"}} == {"SEARCH"}, about


def limits_of(draw: st.DrawFn) -> tuple[JobLimit, ...]:
    who = draw(st.sampled_from(["ann", "bob"]))
    cooldown = bot_cooldown("default", "acme/roof#7 (issue)", by_bot=draw(st.booleans()))
    return draw(st.sampled_from([(), (rate(2, who),), (cooldown,), (rate(2, who), cooldown)]))


@st.composite
def pairs(draw: st.DrawFn) -> list[Pair]:
    """Deliveries with few different ids, bodies, subjects and threads, some with jobs, some that decide another."""
    found: list[Pair] = []
    for number in range(draw(st.integers(1, 12))):
        few = st.none() | st.sampled_from(["x", "y"])
        delivery = factories.new_delivery(
            id=f"delivery-{number:03}",
            external_id=draw(few),
            subject=draw(few),
            body_sha256=draw(st.sampled_from(["x", "y", str(number)])),
            same_body_since=draw(st.sampled_from([None, 0])),
            replay_of=draw(st.sampled_from([None, None, None, "old"])),
            via=draw(st.sampled_from([Via.WEBHOOK, Via.PULL])),
            hook=draw(few),
            received_at=1_000 + number,
        )
        open_ = [each for each, _ in found if each.decision is ASKING]
        kind = draw(st.sampled_from(["job", "job", "job", "none", "asks", "decides"]))
        if kind == "decides" and open_:
            delivery = factories.new_delivery(id=open_[-1].id, received_at=1_000 + number, decides=True)
        elif kind == "asks":
            delivery = factories.new_delivery(id=delivery.id, external_id=draw(few), received_at=1, decision=ASKING)
        job = None
        if kind in {"job", "decides"}:
            job = factories.new_job(
                id=f"job-{number:03}",
                repository=draw(st.sampled_from(["acme/roof", "Acme/Roof"])),
                thread=draw(st.sampled_from([None, Thread("issue", 1), Thread("issue", 2)])),
                limits=limits_of(draw),
                approval=draw(st.sampled_from([None, None, approval_request(expires_at=9)])),
            )
        found.append((delivery, job))
    return found


def open_database() -> WritingConnection:
    db = sqlite3.connect(":memory:", isolation_level=None, factory=WritingConnection)
    db.row_factory = sqlite3.Row
    migrate(db)
    return db


def one_by_one(db: Db, new: list[Pair]) -> list[Outcome]:
    return [deliveries.add_deliveries(db, [each])[0] for each in new]


@pytest.mark.sqlite
@settings(max_examples=200, deadline=None)
@given(new=pairs())
def test_a_batch_stores_what_the_same_deliveries_store_one_by_one(new: list[Pair]) -> None:
    results = []
    for store_ in (one_by_one, deliveries.add_deliveries):
        db = open_database()
        try:
            came: Any = store_(db, new)
        except deliveries.AlreadyDecided:
            came = None  # the writer undoes all, and begins again one by one
        results.append((came, content(db)) if came is not None else None)
        db.close()
    assert results[0] == results[1]
