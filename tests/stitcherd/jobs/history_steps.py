"""What a history of a daemon consists of: one daemon after the other, and what is done to them."""

import asyncio
from collections.abc import Awaitable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from hypothesis.stateful import RuleBasedStateMachine, invariant
from multidict import CIMultiDict

from shared.models import Status, Verdict
from stitcherd.errors import Refusal
from tests.forges.fake import FakeAccount
from tests.forges.webhooks import comment_webhook, signature
from tests.stitcherd.jobs.crashing_daemon import MEMORY, OPERATOR, CrashingDaemon
from tests.stitcherd.jobs.history_rails import RAILS
from tests.stitcherd.jobs.intake_harness import SECRET
from tests.stitcherd.jobs.promises import Promises, Sent

OCTOCAT, DRIVE_BY = FakeAccount(2, "octocat"), FakeAccount(3, "drive-by")
UNDECIDED = "SELECT id FROM deliveries WHERE verdict = 'deciding'"
ROUNDS = 20  # in which all must come to its end
Value = TypeVar("Value")


class HistorySteps(RuleBasedStateMachine):
    """The steps; a machine gives them the rules by which they follow each other. After each all promises must hold."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.place = TemporaryDirectory(dir=MEMORY)
        self.promises = Promises()
        self.rails = "open"
        self.crashes = 0

    def begin(self, rails: str) -> None:
        """Start the first daemon."""
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
        self.crashes += 1
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

    def comment(self, thread: int, *, of_outsider: bool) -> None:
        """Let a member ask for a fix on a thread."""
        author = DRIVE_BY if of_outsider else OCTOCAT
        number = thread * 2 + of_outsider
        self.daemon.forge.add_thread(number, author)
        body, headers = comment_webhook(
            "github", OCTOCAT, "@mosaic fix it", author=author, number=number, comment=len(self.promises.sent) + 1
        )
        self.promises.sent.append(Sent(body, CIMultiDict(headers | signature("github", body, SECRET))))
        self.send(self.promises.sent[-1])

    def send(self, sent: Sent) -> None:
        source = self.daemon.intake.settings.sources["hub"]
        answer = self.run(self.daemon.intake.intake.deliver(source, sent.headers, sent.body, form=False))
        if answer is None:
            return
        if sent.answer is not None:
            assert (answer.verdict, answer.delivery_id) == (Verdict.DUPLICATE, sent.answer.delivery_id)
        sent.answer = sent.answer or answer

    def new_job(self, status: Status, *, of_outsider: bool) -> Iterator[str]:
        """Yield the job that a comment on a new thread has requested, if it came to this status."""
        known = set(self.promises.stories)
        self.comment(thread=10 + len(self.promises.sent), of_outsider=of_outsider)
        self.every_promise_holds()
        yield from set(self.jobs_in(status)) - known

    def working_job(self, *, of_outsider: bool) -> Iterator[str]:
        """Yield a job that a new comment has requested, and that its executor works on; nothing if that may not be."""
        for job_id in self.new_job(Status.QUEUED, of_outsider=of_outsider):
            self.claim_job(job_id)
            self.every_promise_holds()
            if job_id in self.daemon.agent.working:
                yield job_id

    def claim_job(self, job_id: str) -> None:
        """Give a worker the message of a job, which may be stale."""
        self.run(self.daemon.run(job_id, self.promises.stories[job_id].attempt))

    def finish_job(self, job_id: str, ending: str) -> None:
        """Let the executor end its work on a job, if it works on it."""
        if job_id in self.daemon.agent.working:
            self.run(self.daemon.finish(job_id, ending))

    def cancel_job(self, job_id: str, *, crash: bool = False) -> None:
        """Cancel a job; with `crash`, the daemon is killed as soon as it has answered."""
        answer = self.run(self.attempt(self.daemon.commands.cancel(job_id, OPERATOR, None)))
        if answer is None:
            return
        self.promises.stories[job_id].is_cancelled = True
        if crash:
            self.end_daemon(crash=True)
        else:
            self.run(self.daemon.wait_for_end(job_id))

    def retry_job(self, job_id: str) -> None:
        answer = self.run(self.attempt(self.daemon.commands.retry(job_id, OPERATOR)))
        assert answer is None or answer.status is Status.QUEUED

    def approve_job(self, job_id: str) -> None:
        answer = self.run(self.attempt(self.daemon.intake.approvals.approve(job_id, OPERATOR, None)))
        assert answer is None or answer.status is Status.QUEUED

    def put_rails(self, name: str) -> None:
        self.rails = name
        self.run(self.daemon.change_rails(RAILS[name]))

    def end_daemon(self, *, crash: bool) -> None:
        """Start the next daemon after this one was killed or stopped."""
        if crash:
            self.daemon.kill()
        self.run(self.daemon.restart())

    def let_the_forge_be_asked_again(self, *, away: bool) -> None:
        self.daemon.forge.away = away
        self.run(self._let_undecided_be_tried())

    async def _let_undecided_be_tried(self) -> None:
        self.daemon.pass_time()
        while not self.daemon.sleeping and await self.daemon.rows(UNDECIDED):  # noqa: ASYNC110
            await asyncio.sleep(0.001)

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
        """Once all is well every delivery is decided, every job ends, but for those that wait for a person, and the
        forge shows that.
        """
        self.put_rails("open")
        self.loop.run(self.daemon.restart())
        self.every_promise_holds()
        for _ in range(ROUNDS):
            self.let_the_forge_be_asked_again(away=False)
            self.every_promise_holds()
            for job_id in self.jobs_in(Status.QUEUED):
                self.claim_job(job_id)
            for job_id in list(self.daemon.agent.working):
                self.finish_job(job_id, "change")
            self.every_promise_holds()
            undecided = self.loop.run(self.daemon.rows(UNDECIDED))
            if not undecided and not self.jobs_in(Status.QUEUED, Status.RUNNING):
                break
        else:
            raise AssertionError(f"these do not end: {undecided}, {self.promises.stories}")
        crashes = -1
        while crashes != self.crashes:
            crashes = self.crashes
            self.run(self.daemon.report(None))
        self.every_promise_holds()
        self.loop.run(self.promises.check_reports(self.daemon))
