"""Transitions in any order, with crashes, compared with a small model."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule
from msgspec import Struct

from shared.ids import new_id, now_ms
from shared.models import OPEN_STATUSES, Decision, Failure, Result, Status, Thread, Verdict
from stitcherd import policy
from stitcherd.errors import Refusal
from stitcherd.store import approvals, deliveries, interruptions, retries, steps, transitions
from tests import stores
from tests.stitcherd.store.factories import add_delivery, new_delivery, new_job
from tests.stores import open_store

ALLOWED = Decision(Verdict.ALLOWED, "trigger word", "r1", trigger="word")
REQUEST = policy.ApprovalRequest(
    guards=(policy.GuardQuestion("stranger", ("chiefs",)),),
    source="forge",
    asker=None,
    outsiders=(),
    by_asker=False,
    pins=(),
    rails_digest="r1",
    head_sha=None,
    text_sha256="",
    texts={},
    expires="36500d",
    expires_at=2**42,
)
RESULT = Result(None, 0, 0, 0, "no changes")
FAILURE = Failure("gates_failed", "gate tests failed")


class JobModel(Struct):
    """What a job should be."""

    id: str
    thread: int | None
    on_interrupt: str
    status: Status = Status.QUEUED
    attempt: int = 1
    owner: str | None = None
    cancel: bool = False
    version: int = 1
    needs_approval: bool = False  # needs an approval that it does not have


class JobTransitions(RuleBasedStateMachine):
    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.place = TemporaryDirectory()
        self.path = Path(self.place.name) / "stitcher.db"
        self.store = self.loop.run(open_store(self.path))
        self.model: dict[str, JobModel] = {}
        self.started: set[tuple[str, int, int]] = set()
        self.denied: set[str] = set()
        self.owner = 1

    def teardown(self) -> None:
        self.loop.run(self.store.close())
        self.loop.close()
        self.place.cleanup()

    def write(self, function: Callable[..., Any], *args: Any) -> Any:
        return self.loop.run(self.store.write(function, *args))

    def refused(self, function: Callable[..., Any], *args: Any) -> bool:
        try:
            self.write(function, *args)
        except Refusal:
            return True
        return False

    def busy(self, thread: int | None, besides: str = "") -> bool:
        return thread is not None and any(
            job.thread == thread and job.status in OPEN_STATUSES and job.id != besides for job in self.model.values()
        )

    def over(self, job: JobModel, status: Status) -> None:
        job.status, job.owner = status, None

    def again(self, job: JobModel) -> None:
        job.status, job.owner, job.cancel, job.attempt = Status.QUEUED, None, False, job.attempt + 1

    @initialize(target=jobs)
    def begin(self) -> Any:
        return multiple(
            *(
                self.store_delivery(thread, how, needs_approval=needs_approval)
                for thread, how, needs_approval in ((1, "fail", False), (None, "retry", True))
            )
        )

    @rule(
        target=jobs,
        thread=st.none() | st.integers(1, 2),
        on_interrupt=st.sampled_from(["fail", "retry"]),
        needs_approval=st.booleans(),
    )
    def deliver(self, thread: int | None, on_interrupt: str, needs_approval: bool) -> Any:
        if self.busy(thread):
            assert not self.store_delivery(thread, on_interrupt, needs_approval=needs_approval)
            return multiple()
        return self.store_delivery(thread, on_interrupt, needs_approval=needs_approval)

    def store_delivery(self, thread: int | None, on_interrupt: str, *, needs_approval: bool) -> str | None:
        job, delivery = new_id(), new_id()
        asked = new_job(
            id=job,
            repository="acme/roof",
            thread=None if thread is None else Thread("issue", thread),
            tries_max=3,
            on_interrupt=on_interrupt,
            delivery_id=delivery,
            approval=REQUEST if needs_approval else None,
        )
        new = new_delivery(id=delivery, external_id=delivery, same_body_since=0)
        stored = self.loop.run(add_delivery(self.store, new, asked))
        if isinstance(stored, deliveries.JobAlreadyOpen):
            return None
        status = Status.PENDING if needs_approval else Status.QUEUED
        self.model[job] = JobModel(job, thread, on_interrupt, status, needs_approval=needs_approval)
        return job

    @rule(name=jobs, late=st.integers(-1, 1))
    def claim(self, name: str, late: int) -> None:
        job = self.model[name]
        claimed = self.write(transitions.start, name, job.attempt + late, str(self.owner), now_ms())
        assert (claimed is not None) == (job.status is Status.QUEUED and late == 0)
        if claimed:
            job.status, job.owner = Status.RUNNING, str(self.owner)

    @rule(name=jobs, late=st.integers(-1, 0), owner=st.integers(0, 1), number=st.integers(1, 2))
    def begin_try(self, name: str, late: int, owner: int, number: int) -> None:
        job = self.model[name]
        key = self.rows("SELECT key FROM jobs WHERE id = ?", name)[0][0]
        fence = steps.Fence(name, key, "default", job.attempt + late, str(self.owner - owner))
        place = (name, fence.attempt, number)
        allowed = job.status is Status.RUNNING and (fence.attempt, fence.owner) == (job.attempt, job.owner)
        try:
            self.write(steps.begin_try, fence, number, now_ms(), steps.TryStart())
        except steps.Superseded:
            assert not allowed
        except Exception:  # noqa: BLE001 (whatever the store says to a second start)
            assert place in self.started
        else:
            assert allowed
            assert place not in self.started
            self.started.add(place)

    @rule(name=jobs, late=st.integers(-1, 1), owner=st.integers(0, 1), outcome=st.sampled_from([RESULT, FAILURE]))
    def conclude(self, name: str, late: int, owner: int, outcome: Failure | Result) -> None:
        job = self.model[name]
        fence = (job.attempt + late, str(self.owner - owner))
        ended = self.write(transitions.conclude, name, fence, now_ms(), outcome)
        wanted = None
        if job.status is Status.RUNNING and fence == (job.attempt, job.owner):
            wanted = Status.FAILED if outcome is FAILURE else Status.COMPLETED
            wanted = Status.CANCELLED if job.cancel else wanted
            self.over(job, wanted)
        assert ended is wanted

    @rule(name=jobs)
    def cancel(self, name: str) -> None:
        job = self.model[name]
        assert self.refused(transitions.cancel, name, "uid:0", None, now_ms()) == (job.status not in OPEN_STATUSES)
        if job.status is Status.RUNNING:
            job.cancel = True
        elif job.status in OPEN_STATUSES:
            job.cancel = True
            self.over(job, Status.CANCELLED)

    @rule(name=jobs)
    def retry(self, name: str) -> None:
        job = self.model[name]
        allowed = (
            job.status in {Status.FAILED, Status.CANCELLED}
            and not job.needs_approval
            and not self.busy(job.thread, name)
        )
        assert self.refused(retries.retry, name, "uid:0", now_ms()) != allowed
        if allowed:
            self.again(job)

    @rule(name=jobs)
    def approve(self, name: str) -> None:
        job = self.model[name]
        waits = job.status is Status.PENDING
        assert self.refused(approvals.approve, name, "uid:0", None, now_ms()) != waits
        if waits:
            job.status, job.needs_approval = Status.QUEUED, False

    @rule(name=jobs)
    def deny(self, name: str) -> None:
        job = self.model[name]
        waits = job.status is Status.PENDING
        assert self.refused(transitions.deny, name, "uid:0", "no", now_ms()) != waits
        if waits:
            self.over(job, Status.CANCELLED)
            self.denied.add(name)

    @rule()
    def expire(self) -> None:
        late = {job.id for job in self.model.values() if job.status is Status.PENDING}
        assert {job.id for job in self.write(approvals.expire, REQUEST.expires_at)} == late
        for name in late:
            self.model[name].cancel = True
            self.over(self.model[name], Status.CANCELLED)

    @rule()
    def crash(self) -> None:
        if stores.kind == "sqlite":
            left = self.path
            self.path = left.with_name(f"{self.owner}.db")
            for suffix in ("", "-wal"):  # as a kill leaves them: nothing folded, nothing closed
                copyfile(f"{left}{suffix}", f"{self.path}{suffix}")
        self.loop.run(self.store.close())
        self.store = self.loop.run(open_store(self.path))
        self.owner += 2  # neither the new owner nor the one before it is the one that died
        running = {job.id for job in self.model.values() if job.status is Status.RUNNING}
        assert {name for name, status in self.rows("SELECT id, status FROM jobs") if status == "RUNNING"} == running
        for name in running:
            job = self.model[name]
            fence = (job.attempt, f"daemon {self.owner}")
            assert self.write(interruptions.adopt, name, job.attempt, job.owner, fence[1])
            assert not self.write(interruptions.adopt, name, job.attempt, job.owner, fence[1])
            self.write(interruptions.recover, name, fence, now_ms())
            begun = any(place[:2] == (name, job.attempt) for place in self.started)
            if job.cancel:
                self.over(job, Status.CANCELLED)
            elif begun and job.on_interrupt == "fail":
                self.over(job, Status.FAILED)
            else:
                self.again(job)

    async def read(self, function: Callable[..., Any], *args: Any) -> Any:
        async with self.store.reading() as db:
            return await function(db, *args)

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        async def query() -> list[tuple[Any, ...]]:
            async with self.store.reading() as db:
                return [tuple(row) for row in await db.execute_fetchall(statement, values)]

        return self.loop.run(query())

    @invariant()
    def every_job_stands_where_the_model_says(self) -> None:
        columns = "id, status, attempt, owner, cancel_requested, version"
        for name, status, attempt, owner, cancel, version in self.rows(f"SELECT {columns} FROM jobs"):
            job = self.model[name]
            assert (status, attempt, owner, bool(cancel)) == (job.status, job.attempt, job.owner, job.cancel)
            assert version >= job.version
            job.version = version

    @invariant()
    def counts_are_those_of_the_rows(self) -> None:
        grouped = self.rows("SELECT workspace, status, count(*) FROM jobs GROUP BY workspace, status ORDER BY 1, 2")
        assert self.rows("SELECT * FROM job_counts WHERE n <> 0 ORDER BY workspace, status") == grouped

    @invariant()
    def every_start_is_known(self) -> None:
        rows = self.rows("SELECT j.id, s.attempt, s.try FROM starts s JOIN jobs j ON j.key = s.job")
        assert len(rows) == len(self.started)
        assert set(rows) == self.started

    @invariant()
    def the_last_event_of_a_job_is_of_its_status(self) -> None:
        last = "SELECT type FROM events e WHERE e.job = j.key ORDER BY id DESC LIMIT 1"
        for name, status, named, event in self.rows(f"SELECT id, status, last_event, ({last}) FROM jobs j"):
            wanted = {"RUNNING": "started", "PENDING": "waiting"}.get(status, status.lower())
            assert named == event == f"job.{'denied' if name in self.denied else wanted}"


TestJobTransitions = JobTransitions.TestCase
TestJobTransitions.settings = settings(
    max_examples=20 if stores.kind == "sqlite" else 5,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
