"""Whole histories of a daemon, in any order and with crashes anywhere: nothing lost, nothing twice, nothing unasked.

`make faults FAULTS="histories --seed N"` tries others than this test does.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import Struct
from multidict import CIMultiDict

from shared.audit import verify_export
from shared.deliveries import WebhookResponse
from shared.models import Status, Verdict
from stitcherd.errors import Refusal
from stitcherd.store import audit, events
from stitcherd.store.lifecycle import NEXT
from tests.forges.fake import FakeAccount
from tests.forges.webhooks import comment_webhook, signature
from tests.stitcherd.jobs.crashing_daemon import MEMORY, OPERATOR, POINTS, REPOSITORY, CrashingDaemon
from tests.stitcherd.jobs.intake_harness import SECRET

OPEN = """
version: 1
people:
  team: {users: ["hub:octocat"]}
  chiefs: {users: ["hub:chief"]}
profiles:
  weaver: {capabilities: [repo:read, repo:write, git:commit], executor: agent}
jobs:
  fix: {profile: weaver, needs: [repo:write, git:commit], gates: [scope], tries: 2, on_interrupt: retry}
triggers:
  - {id: on-command, on: [issue.comment], command: fix, from: [team], job: fix}
gates:
  scope: {builtin: diff-rules}
paths:
  protected: [".github/**"]
  tests: {globs: ["tests/**"], on_edit: require-approval}
"""
GUARDED = f"""{OPEN}
guards:
  - {{id: outsider, if: {{author_of: [issue], not_in: [team]}}, then: require-approval, by: [chiefs]}}
"""
RAILS = {
    "open": OPEN,
    "guarded": GUARDED,
    "closed": OPEN.replace("hub:octocat", "hub:nobody"),
    "asking": OPEN.replace('{users: ["hub:octocat"]}', "{permission: write}"),
    "observing": f"{OPEN}mode: observe\n",
    "failing": OPEN.replace("on_interrupt: retry", "on_interrupt: fail"),
}
ENDINGS = ["change", "change tests", "change what is protected", "leave all as it is", "fail", "be lost"]
MEANWHILE = st.sampled_from(["nothing", "crash", "cancel", "cancel and crash", *RAILS, *POINTS])
OCTOCAT, DRIVE_BY = FakeAccount(2, "octocat"), FakeAccount(3, "drive-by")
STATUS_OF = {
    "job.queued": Status.QUEUED,
    "job.waiting": Status.PENDING,
    "job.started": Status.RUNNING,
    "job.completed": Status.COMPLETED,
    "job.failed": Status.FAILED,
    "job.cancelled": Status.CANCELLED,
    "job.denied": Status.CANCELLED,
}
REPEATABLE = {"job.queued", "job.waiting"}  # that say more of a job in the same status
UNDECIDED = "SELECT id FROM deliveries WHERE verdict = 'deciding'"
ROUNDS = 20  # in which all must come to its end
Value = TypeVar("Value")


class Sent(Struct):
    """A webhook that was sent; `answer` is None while nobody knows what became of it."""

    body: bytes
    headers: CIMultiDict[str]
    answer: WebhookResponse | None = None


class JobStory(Struct):
    """What the events say of a job."""

    status: Status | None = None
    attempt: int = 1
    is_approved: bool = False
    is_cancelled: bool = False  # a cancel was acknowledged in this attempt
    is_requested_by_comment: bool = False
    is_of_outsider: bool = False  # the thread


class Histories(RuleBasedStateMachine):
    """What may happen to a daemon; after each step all that it promises must hold."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.place = TemporaryDirectory(dir=MEMORY)
        self.sent: list[Sent] = []
        self.stories: dict[str, JobStory] = {}
        self.seen: list[int] = []  # the events that a client of the feed got
        self.branches: dict[str, str] = {}
        self.told: set[str] = set()  # the jobs that were dispatched and acknowledged
        self.starts = 0  # that were checked
        self.rails = "open"

    @initialize(rails=st.sampled_from(["open", "guarded", "asking"]))
    def start(self, rails: str) -> None:
        self.rails = rails
        self.daemon = CrashingDaemon(Path(self.place.name), RAILS[rails])
        self.run(self.daemon.open())

    def run(self, work: Awaitable[Value]) -> Value | None:
        """Let a daemon do something; return what it answered, None where it was killed before anybody got it."""

        async def wait() -> Value:
            async with asyncio.timeout(30):
                return await work

        self.daemon.in_danger = True
        answer = self.loop.run(wait())
        self.daemon.in_danger = False
        if not self.daemon.is_dead:
            return answer
        self.loop.run(self.daemon.restart())
        return None

    async def attempt(self, work: Awaitable[Value]) -> Value | None:
        """Return what an operator's request was answered; None where it was refused."""
        try:
            return await work
        except Refusal:
            return None

    def jobs_in(self, *statuses: Status) -> list[str]:
        return [job_id for job_id, story in self.stories.items() if story.status in statuses]

    def picked(self, pick: int, *statuses: Status) -> Iterator[str]:
        """Yield one of the jobs in these statuses, the newest for 0; nothing where there is none."""
        found = self.jobs_in(*statuses)
        if found:
            yield found[-1 - pick % len(found)]

    @rule(thread=st.integers(1, 3), of_outsider=st.booleans())
    def deliver(self, thread: int, of_outsider: bool) -> None:
        author = DRIVE_BY if of_outsider else OCTOCAT
        number = thread * 2 + of_outsider
        body, headers = comment_webhook(
            "github", OCTOCAT, "@mosaic fix it", author=author, number=number, comment=len(self.sent) + 1
        )
        self.sent.append(Sent(body, CIMultiDict(headers | signature("github", body, SECRET))))
        self.send(self.sent[-1])

    @precondition(lambda self: self.sent)
    @rule(pick=st.integers(0, 5))
    def deliver_again(self, pick: int) -> None:
        self.send(self.sent[-1 - pick % len(self.sent)])

    def send(self, sent: Sent) -> None:
        source = self.daemon.intake.settings.sources["hub"]
        answer = self.run(self.daemon.intake.intake.deliver(source, sent.headers, sent.body, form=False))
        if answer is None:
            return
        if sent.answer is not None:
            assert (answer.verdict, answer.delivery_id) == (Verdict.DUPLICATE, sent.answer.delivery_id)
        sent.answer = sent.answer or answer

    @rule(repository=st.sampled_from([REPOSITORY, None]))
    def dispatch(self, repository: str | None) -> None:
        answer = self.run(self.attempt(self.daemon.dispatch(repository)))
        if answer is not None:
            self.told.add(answer.id)

    @precondition(lambda self: self.jobs_in(Status.QUEUED))
    @rule(pick=st.integers(0, 3))
    def claim(self, pick: int) -> None:
        for job_id in self.picked(pick, Status.QUEUED):
            self.run(self.daemon.run(job_id, self.stories[job_id].attempt))

    @precondition(lambda self: self.jobs_in(Status.QUEUED))
    @rule(pick=st.integers(0, 3))
    def claim_while_the_executor_is_away(self, pick: int) -> None:
        self.daemon.agent.away = True
        self.claim(pick)
        self.daemon.agent.away = False

    @precondition(lambda self: self.stories)
    @rule(pick=st.integers(0, 5), late=st.integers(-1, 1))
    def take_an_old_message(self, pick: int, late: int) -> None:
        for job_id in self.picked(pick, *Status):
            if late or self.stories[job_id].status is not Status.QUEUED:
                self.run(self.daemon.run(job_id, self.stories[job_id].attempt + late))

    @precondition(lambda self: self.daemon.agent.working)
    @rule(pick=st.integers(0, 3), ending=st.sampled_from(ENDINGS))
    def finish(self, pick: int, ending: str) -> None:
        working = list(self.daemon.agent.working)
        self.run(self.daemon.finish(working[pick % len(working)], ending))

    @precondition(lambda self: self.jobs_in(Status.QUEUED))
    @rule(pick=st.integers(0, 3), ending=st.sampled_from(["change", "change", *ENDINGS]), meanwhile=MEANWHILE)
    def work(self, pick: int, ending: str, meanwhile: str) -> None:
        """Run a job to the end of its first try, while something else happens."""
        for job_id in self.picked(pick, Status.QUEUED):
            self.claim(pick)
            self.every_promise_holds()
            if meanwhile in RAILS:
                self.change_rails(meanwhile)
            elif meanwhile in POINTS:
                self.crash_soon(meanwhile, 1)
            elif meanwhile == "crash":
                self.restart(crash=True)
            elif meanwhile in {"cancel", "cancel and crash"}:
                self.cancel_job(job_id, crash=meanwhile != "cancel")
            self.every_promise_holds()
            if job_id in self.daemon.agent.working:
                self.run(self.daemon.finish(job_id, ending))

    @precondition(lambda self: self.stories)
    @rule(pick=st.integers(0, 5), crash=st.booleans())
    def cancel(self, pick: int, crash: bool) -> None:
        for job_id in self.picked(pick, *Status):
            self.cancel_job(job_id, crash=crash)

    def cancel_job(self, job_id: str, *, crash: bool) -> None:
        """Cancel a job; with `crash`, the daemon is killed as soon as it has answered."""
        answer = self.run(self.attempt(self.daemon.commands.cancel(job_id, OPERATOR, None)))
        if answer is None:
            return
        self.stories[job_id].is_cancelled = True
        if crash:
            self.restart(crash=True)
        else:
            self.run(self.daemon.wait_for_end(job_id))

    @precondition(lambda self: self.jobs_in(Status.FAILED, Status.CANCELLED, Status.COMPLETED))
    @rule(pick=st.integers(0, 3))
    def retry(self, pick: int) -> None:
        for job_id in self.picked(pick, Status.FAILED, Status.CANCELLED, Status.COMPLETED):
            answer = self.run(self.attempt(self.daemon.commands.retry(job_id, OPERATOR)))
            assert answer is None or answer.status is Status.QUEUED

    @precondition(lambda self: self.jobs_in(Status.PENDING))
    @rule(pick=st.integers(0, 3), approved=st.sampled_from([True, True, False]))
    def approve_or_deny(self, pick: int, approved: bool) -> None:
        approvals = self.daemon.intake.approvals
        for job_id in self.picked(pick, Status.PENDING):
            if approved:
                answer = self.run(self.attempt(approvals.approve(job_id, OPERATOR, None)))
            else:
                answer = self.run(self.attempt(approvals.deny(job_id, OPERATOR, "no")))
            assert answer is None or answer.status is (Status.QUEUED if approved else Status.CANCELLED)

    @rule(name=st.sampled_from(list(RAILS)))
    def change_rails(self, name: str) -> None:
        self.rails = name
        self.run(self.daemon.change_rails(RAILS[name]))

    @rule(away=st.booleans())
    def pass_time(self, away: bool) -> None:
        self.daemon.forge.away = away
        self.run(self.let_undecided_be_tried())

    async def let_undecided_be_tried(self) -> None:
        self.daemon.pass_time()
        while not self.daemon.sleeping and await self.daemon.rows(UNDECIDED):  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    @rule(crash=st.booleans())
    def restart(self, crash: bool) -> None:
        if crash:
            self.daemon.kill()
        self.run(self.daemon.restart())

    @rule(point=st.sampled_from(POINTS), passes=st.integers(1, 6))
    def crash_soon(self, point: str, passes: int) -> None:
        self.daemon.arm(point, passes)

    @invariant()
    def every_promise_holds(self) -> None:
        self.check_starts()
        self.check_publications()
        self.follow_the_feed()
        self.check_jobs()
        self.check_deliveries()
        self.check_chain()

    def check_starts(self) -> None:
        """No (job, attempt, try) twice, none that the rails in force do not allow, and none that is not stored."""
        starts = self.daemon.starts
        assert len(set(starts)) == len(starts)
        for job_id, _, number in starts[self.starts :]:
            if number == 1:
                self.check_allowed(job_id)
        self.starts = len(starts)
        stored = self.rows("SELECT j.id, s.attempt, s.try FROM starts s JOIN jobs j ON j.key = s.job")
        assert set(starts) <= set(stored)

    def check_publications(self) -> None:
        """Nothing is published that the rails in force do not allow."""
        published = self.daemon.published()
        for branch, sha in published.items():
            if self.branches.get(branch) != sha:
                [job_id] = [job_id for job_id in self.stories if job_id.endswith(branch)]
                self.check_allowed(job_id)
        self.branches = published

    def check_allowed(self, job_id: str) -> None:
        """The rails in force allow that a job starts or is published."""
        job = self.stories[job_id]
        assert self.rails != "observing"
        if job.is_requested_by_comment:
            assert self.rails != "closed"
            assert self.rails != "guarded" or not job.is_of_outsider or job.is_approved

    def follow_the_feed(self) -> None:
        """The event stream misses and repeats nothing, and tells only transitions of the table."""
        found = self.loop.run(self.follow())
        self.seen += [event["id"] for event in found]
        assert self.seen == sorted(set(self.seen))
        assert self.seen == [number for (number,) in self.rows("SELECT id FROM events ORDER BY id")]
        for event in found:
            if event["jobId"] is not None and event["type"].startswith("job."):
                self.tell(event)

    async def follow(self) -> list[dict[str, Any]]:
        """Return what a client of the event stream gets now."""
        cursor, feed = self.seen[-1] if self.seen else 0, self.daemon.feed
        await feed.catch_up()
        frames = feed.since(cursor)
        if frames is not None:
            return [json.loads(frame.data.partition(b"\ndata: ")[2]) for frame in frames]
        async with self.daemon.intake.store.reading() as db:
            read = await events.events_after(db, cursor, 10_000)
        return [
            {"id": event.id, "type": event.type, "jobId": event.job_id, "payload": event.payload} for event, _ in read
        ]

    def tell(self, event: dict[str, Any]) -> None:
        """Let a job's story go on with an event; check that it may."""
        story = self.stories.setdefault(event["jobId"], JobStory())
        if event["type"] == "job.retried":
            story.is_cancelled = False
        if event["type"] in {"job.approved", "job.waiting"}:
            story.is_approved = event["type"] == "job.approved"
        after = STATUS_OF.get(event["type"])
        if after is not None and not (after is story.status and event["type"] in REPEATABLE):
            assert after in NEXT[story.status], (event, story)
            story.status = after
            assert not story.is_cancelled or after is Status.CANCELLED, (event, story)

    def check_jobs(self) -> None:
        """Every job stands where its events say, and is counted there."""
        columns = "id, status, attempt, thread_number"
        found = self.rows(f"SELECT {columns} FROM jobs")
        assert {job_id: status for job_id, status, *_ in found} == {
            job_id: story.status for job_id, story in self.stories.items()
        }
        for job_id, status, attempt, thread in found:
            job = self.stories[job_id]
            job.attempt = attempt
            job.is_requested_by_comment, job.is_of_outsider = thread is not None, bool(thread and thread % 2)
            assert (status == Status.RUNNING) == (job_id in self.daemon.running)
        assert not self.rows("SELECT error FROM jobs WHERE error LIKE '%internal%'"), "a bug, which the log shows"
        counts = self.rows("SELECT status, sum(n) FROM job_counts GROUP BY status HAVING sum(n) <> 0")
        assert dict(counts) == Counter(status for _, status, *_ in found)

    def check_deliveries(self) -> None:
        """Every acknowledged delivery exists, once, with the job that was named."""
        stored = self.rows("SELECT id, job_id, subject FROM deliveries")
        assert len(stored) == len({subject for *_, subject in stored})
        jobs = {delivery: job_id for delivery, job_id, _ in stored}
        for answer in (sent.answer for sent in self.sent if sent.answer):
            assert answer.job_id in {None, jobs[answer.delivery_id]}
            assert answer.job_id is None or answer.job_id in self.stories
        assert self.told <= self.stories.keys()

    def check_chain(self) -> None:
        """The chain of events is unbroken."""

        async def export() -> list[bytes]:
            async with self.daemon.intake.store.snapshot() as db:
                return b"".join([chunk async for chunk in audit.export_events(db)]).splitlines()

        assert verify_export(self.loop.run(export())).broken is None

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        return self.loop.run(self.daemon.rows(statement))

    def teardown(self) -> None:
        try:
            if hasattr(self, "daemon"):
                self.check_the_end()
        finally:
            if hasattr(self, "daemon"):
                self.loop.run(self.daemon.close())
                self.daemon.end()
            self.loop.close()
            self.place.cleanup()

    def check_the_end(self) -> None:
        """Once all is well every delivery is decided, and every job ends, but for those that wait for a person."""
        self.change_rails("open")
        self.loop.run(self.daemon.restart())
        self.every_promise_holds()
        for _ in range(ROUNDS):
            self.pass_time(away=False)
            self.every_promise_holds()
            for job_id in self.jobs_in(Status.QUEUED):
                self.run(self.daemon.run(job_id, self.stories[job_id].attempt))
            for job_id in list(self.daemon.agent.working):
                self.run(self.daemon.finish(job_id, "change"))
            self.every_promise_holds()
            undecided = self.rows(UNDECIDED)
            if not undecided and not self.jobs_in(Status.QUEUED, Status.RUNNING):
                return
        raise AssertionError(f"these do not end: {undecided}, {self.stories}")


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=12,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
