"""Whole histories of a daemon, in any order and with crashes anywhere: nothing lost, nothing twice, nothing unasked.

`make faults FAULTS="histories --seed N"` tries others than this test does.
"""

import asyncio
from collections.abc import Awaitable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from multidict import CIMultiDict

from shared.models import Status, Verdict
from stitcherd.errors import Refusal
from tests.forges.fake import FakeAccount
from tests.forges.webhooks import comment_webhook, signature
from tests.stitcherd.jobs.crashing_daemon import MEMORY, OPERATOR, POINTS, REPOSITORY, CrashingDaemon
from tests.stitcherd.jobs.intake_harness import SECRET
from tests.stitcherd.jobs.promises import Promises, Sent

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
OCTOCAT, DRIVE_BY = FakeAccount(2, "octocat"), FakeAccount(3, "drive-by")
UNDECIDED = "SELECT id FROM deliveries WHERE verdict = 'deciding'"
ROUNDS = 20  # in which all must come to its end
Value = TypeVar("Value")


class Histories(RuleBasedStateMachine):
    """What may happen to a daemon; after each step all that it promises must hold."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.place = TemporaryDirectory(dir=MEMORY)
        self.promises = Promises()
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
        return [job_id for job_id, story in self.promises.stories.items() if story.status in statuses]

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
            "github", OCTOCAT, "@mosaic fix it", author=author, number=number, comment=len(self.promises.sent) + 1
        )
        self.promises.sent.append(Sent(body, CIMultiDict(headers | signature("github", body, SECRET))))
        self.send(self.promises.sent[-1])

    @precondition(lambda self: self.promises.sent)
    @rule(pick=st.integers(0, 5))
    def deliver_again(self, pick: int) -> None:
        self.send(self.promises.sent[-1 - pick % len(self.promises.sent)])

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
            self.promises.told.add(answer.id)

    @precondition(lambda self: self.jobs_in(Status.QUEUED))
    @rule(pick=st.integers(0, 3))
    def claim(self, pick: int) -> None:
        for job_id in self.picked(pick, Status.QUEUED):
            self.run(self.daemon.run(job_id, self.promises.stories[job_id].attempt))

    @precondition(lambda self: self.jobs_in(Status.QUEUED))
    @rule(pick=st.integers(0, 3))
    def claim_while_the_executor_is_away(self, pick: int) -> None:
        self.daemon.agent.away = True
        self.claim(pick)
        self.daemon.agent.away = False

    @precondition(lambda self: self.promises.stories)
    @rule(pick=st.integers(0, 5), late=st.integers(-1, 1))
    def take_an_old_message(self, pick: int, late: int) -> None:
        for job_id in self.picked(pick, *Status):
            if late or self.promises.stories[job_id].status is not Status.QUEUED:
                self.run(self.daemon.run(job_id, self.promises.stories[job_id].attempt + late))

    @precondition(lambda self: self.daemon.agent.working)
    @rule(pick=st.integers(0, 3), ending=st.sampled_from(ENDINGS))
    def finish(self, pick: int, ending: str) -> None:
        working = list(self.daemon.agent.working)
        self.run(self.daemon.finish(working[pick % len(working)], ending))

    def working_job(self, *, of_outsider: bool) -> Iterator[str]:
        """Yield a job that a new comment has requested, and that its executor works on; nothing if that may not be."""
        self.deliver(thread=10 + len(self.promises.sent), of_outsider=of_outsider)
        self.every_promise_holds()
        for job_id in self.picked(0, Status.QUEUED):
            self.claim(0)
            self.every_promise_holds()
            if job_id in self.daemon.agent.working:
                yield job_id

    @rule(of_outsider=st.booleans(), ending=st.sampled_from(ENDINGS))
    def work(self, of_outsider: bool, ending: str) -> None:
        for job_id in self.working_job(of_outsider=of_outsider):
            self.run(self.daemon.finish(job_id, ending))

    @rule(of_outsider=st.booleans(), name=st.sampled_from(["closed", "guarded", "observing"]))
    def change_rails_before_a_publication(self, of_outsider: bool, name: str) -> None:
        for job_id in self.working_job(of_outsider=of_outsider):
            self.change_rails(name)
            self.every_promise_holds()
            if job_id in self.daemon.agent.working:
                self.run(self.daemon.finish(job_id, "change"))

    @rule(point=st.sampled_from(POINTS), passes=st.integers(1, 2), ending=st.sampled_from(["change", *ENDINGS]))
    def crash_while_it_ends(self, point: str, passes: int, ending: str) -> None:
        for job_id in self.working_job(of_outsider=False):
            self.crash_soon(point, passes)
            self.run(self.daemon.finish(job_id, ending))

    @rule(crash=st.booleans())
    def cancel_while_it_works(self, crash: bool) -> None:
        for job_id in self.working_job(of_outsider=False):
            self.cancel_job(job_id, crash=crash)

    @precondition(lambda self: self.promises.stories)
    @rule(pick=st.integers(0, 5))
    def cancel(self, pick: int) -> None:
        for job_id in self.picked(pick, *Status):
            self.cancel_job(job_id, crash=False)

    def cancel_job(self, job_id: str, *, crash: bool) -> None:
        """Cancel a job; with `crash`, the daemon is killed as soon as it has answered."""
        answer = self.run(self.attempt(self.daemon.commands.cancel(job_id, OPERATOR, None)))
        if answer is None:
            return
        self.promises.stories[job_id].is_cancelled = True
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
        self.loop.run(self.promises.check(self.daemon, self.rails))

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
                self.run(self.daemon.run(job_id, self.promises.stories[job_id].attempt))
            for job_id in list(self.daemon.agent.working):
                self.run(self.daemon.finish(job_id, "change"))
            self.every_promise_holds()
            undecided = self.loop.run(self.daemon.rows(UNDECIDED))
            if not undecided and not self.jobs_in(Status.QUEUED, Status.RUNNING):
                return
        raise AssertionError(f"these do not end: {undecided}, {self.promises.stories}")


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=8,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
