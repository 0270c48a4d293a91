"""Whole histories of a daemon, in any order and with crashes anywhere: nothing lost, nothing twice, nothing unasked.

`make faults FAULTS="histories --seed N"` tries others than this test does.
"""

from functools import partial

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from shared.models import Status
from tests.stitcherd.jobs.crashing_daemon import OPERATOR, POINTS, REPOSITORY
from tests.stitcherd.jobs.history_rails import GUARDS, RAILS
from tests.stitcherd.jobs.history_steps import HistorySteps

ENDINGS = ["change", "change tests", "change what is protected", "leave all as it is", "fail", "be lost"]


class Histories(HistorySteps):
    """What may happen to a daemon, in any order."""

    @initialize(rails=st.sampled_from(["open", "guarded", "asking"]))
    def start(self, rails: str) -> None:
        self.begin(rails)

    @rule(thread=st.integers(1, 3), of_outsider=st.booleans())
    def deliver(self, thread: int, of_outsider: bool) -> None:
        self.comment(thread, of_outsider=of_outsider)

    @precondition(lambda self: self.promises.sent)
    @rule(pick=st.integers(0, 5))
    def deliver_again(self, pick: int) -> None:
        self.send(self.promises.sent[-1 - pick % len(self.promises.sent)])

    @rule(repository=st.sampled_from([REPOSITORY, None]))
    def dispatch(self, repository: str | None) -> None:
        answer = self.run(self.attempt(self.daemon.dispatch(repository)))
        if answer is not None:
            self.promises.told.add(answer.id)

    @precondition(lambda self: self.jobs_in(Status.QUEUED))
    @rule(pick=st.integers(0, 3), away=st.sampled_from([False, False, True]))
    def claim(self, pick: int, away: bool) -> None:
        self.daemon.agent.away = away
        for job_id in self.picked(pick, Status.QUEUED):
            self.claim_job(job_id)
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

    @rule(of_outsider=st.booleans(), ending=st.sampled_from(ENDINGS))
    def work(self, of_outsider: bool, ending: str) -> None:
        for job_id in self.working_job(of_outsider=of_outsider):
            self.run(self.daemon.finish(job_id, ending))

    @rule(of_outsider=st.booleans(), name=st.sampled_from(["closed", "guarded", "observing"]))
    def change_rails_before_a_publication(self, of_outsider: bool, name: str) -> None:
        for job_id in self.working_job(of_outsider=of_outsider):
            self.change_rails(name)
            self.every_promise_holds()
            self.finish_job(job_id, "change")

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
            self.cancel_job(job_id)

    @precondition(lambda self: self.jobs_in(Status.FAILED, Status.CANCELLED, Status.COMPLETED))
    @rule(pick=st.integers(0, 3))
    def retry(self, pick: int) -> None:
        for job_id in self.picked(pick, Status.FAILED, Status.CANCELLED, Status.COMPLETED):
            self.retry_job(job_id)

    @precondition(lambda self: self.jobs_in(Status.PENDING))
    @rule(pick=st.integers(0, 3), approved=st.sampled_from([True, True, False]))
    def approve_or_deny(self, pick: int, approved: bool) -> None:
        for job_id in self.picked(pick, Status.PENDING):
            if approved:
                self.approve_job(job_id)
            else:
                answer = self.run(self.attempt(self.daemon.intake.approvals.deny(job_id, OPERATOR, "no")))
                assert answer is None or answer.status is Status.CANCELLED

    @rule(before=st.sampled_from(GUARDS), after=st.sampled_from(GUARDS), tests=st.booleans(), early=st.booleans())
    def ask_for_more_than_was_approved(self, before: str, after: str, tests: bool, early: bool) -> None:
        """Let an approved job wait again, for other rails or for what its commit edits, and retry it instead."""
        self.put_rails(before)
        change_rails = partial(self.put_rails, after)
        for job_id in self.new_job(Status.PENDING, of_outsider=True):
            for step in (
                partial(self.approve_job, job_id),
                *([change_rails] if early else []),
                partial(self.claim_job, job_id),
                partial(self.finish_job, job_id, "change tests" if tests else "change"),
                *([] if early else [change_rails]),
                partial(self.cancel_job, job_id),
                partial(self.retry_job, job_id),
                partial(self.claim_job, job_id),
                partial(self.finish_job, job_id, "change"),
            ):
                step()
                self.every_promise_holds()

    @rule(rails=st.sampled_from(GUARDS))
    def let_the_time_to_approve_end(self, rails: str) -> None:
        """Approve a job too late, which is refused, also before it is cancelled for that."""
        self.put_rails(rails)
        for job_id in self.new_job(Status.PENDING, of_outsider=True):
            waiting, crashes = self.jobs_in(Status.PENDING), self.crashes
            with self.daemon.later_than_any_approval():
                self.approve_job(job_id)
                self.every_promise_holds()
                assert job_id in self.jobs_in(Status.PENDING)
                self.run(self.daemon.intake.approvals.expire())
            self.every_promise_holds()
            assert crashes != self.crashes or set(waiting) <= set(self.jobs_in(Status.CANCELLED))

    @rule(name=st.sampled_from(list(RAILS)))
    def change_rails(self, name: str) -> None:
        self.put_rails(name)

    @rule(away=st.booleans())
    def pass_time(self, away: bool) -> None:
        self.let_the_forge_be_asked_again(away=away)

    @rule(sends=st.integers(0, 3), is_lost=st.booleans())
    def report(self, sends: int, is_lost: bool) -> None:
        """Plan what is to be said at the forge, and send some of it; the last response may be lost."""
        self.run(self.daemon.report(sends, is_lost=is_lost))

    @rule(point=st.sampled_from(["answer_taken", "answer_sent", "answer_stored", "before_commit", "after_commit"]))
    def crash_while_it_reports(self, point: str) -> None:
        for job_id in self.working_job(of_outsider=False):
            self.run(self.daemon.report(1))
            self.finish_job(job_id, "change")
            self.crash_soon(point, 1)
            self.run(self.daemon.report(2))

    @rule(crash=st.booleans())
    def restart(self, crash: bool) -> None:
        self.end_daemon(crash=crash)

    @rule(point=st.sampled_from(POINTS), passes=st.integers(1, 6))
    def crash_soon(self, point: str, passes: int) -> None:
        self.daemon.arm(point, passes)


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=8,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
