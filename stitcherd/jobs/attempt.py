"""One attempt of a job, a staircase: prepare, then execute and judge as often as allowed, then publish."""

from collections.abc import Awaitable, Callable, Mapping

from msgspec import Struct

from shared.models import Failure, Phase, Result, RunnerJob, StepType
from stitcherd.budget import Budget, BudgetExceeded, DailyBudgetExceeded
from stitcherd.config.settings import RepositorySettings
from stitcherd.executors.base import AgentProfile, ExecutionResult, Executor, Task
from stitcherd.git import GitError
from stitcherd.git.checkout import Checkout, Checkouts
from stitcherd.jobs import prompt
from stitcherd.jobs.command_runner import AttemptFailed, CommandRunner
from stitcherd.jobs.gate_runner import GateRunner
from stitcherd.jobs.step_recorder import RunningStep, StepRecorder
from stitcherd.policy import ApprovalRequest as Approved
from stitcherd.rails.compiled import JobType
from stitcherd.store.interruptions import ResumableTry
from stitcherd.store.rows import to_payload

PUBLISHING_CAPABILITIES = frozenset({"repo:write", "git:commit"})  # a job that needs neither has nothing to publish


class CommitNeedsApproval(Exception):
    """All required gates passed, and one of them wants a person to approve of the commit first."""

    def __init__(self, commit: str, base: str | None) -> None:
        super().__init__(commit)
        self.commit = commit
        self.base = base


class Attempt(Struct, frozen=True, kw_only=True):
    """A claimed job with all that its run needs."""

    job: RunnerJob
    prompt: str
    type: JobType
    repository: RepositorySettings | None
    executor: Executor
    checkouts: Checkouts
    journal: StepRecorder
    environ: Mapping[str, str]  # the daemon's own, of which a job gets what its rails name
    budget: Budget = Budget()  # of the job
    day: Callable[[], Budget] = Budget
    left: ResumableTry | None = None  # of an earlier daemon's, to be gone on with
    approved: Approved | None = None  # what a person approved of, to be published

    async def run(self) -> Result:
        """Walk the staircase, from where an earlier daemon left it.

        Raises Failed where it ends early, Superseded where the job was taken away, and, where nothing could be started,
        Unavailable and DayUsedUp; Asks where a person must approve of its commit.
        """
        if self.approved is not None:
            return await self._publish(self._reopen(self.approved.base), self.approved.commit)
        left = self.left
        checkout = await self._prepare() if left is None else self._reopen(left.base)
        failures: list[tuple[str, str]] = []
        for number in range(left.number if left else 1, self.type.tries + 1):
            if left is None or number > left.number:
                await self._execute(checkout, number, failures)
            elif not left.ended:
                await self._resume(checkout, left)
            commit = await self._commit(checkout)
            failures, asks = await GateRunner(self._around).judge(checkout, commit, number)
            if not failures and asks and commit is not None:
                raise CommitNeedsApproval(commit, checkout.base)
            if not failures:
                return await self._publish(checkout, commit)
        names = ", ".join(name for name, _ in failures)
        raise AttemptFailed(
            Failure(
                "gates_failed",
                f"gate {names} failed in try {self.type.tries} of {self.type.tries}",
                "see the gate's log for what it printed",
            )
        )

    @property
    def _around(self) -> CommandRunner:
        return CommandRunner(
            job=self.job, type=self.type, repository=self.repository, journal=self.journal, environ=self.environ
        )

    async def _prepare(self) -> Checkout:
        async with await self.journal.open(Phase.SETUP, StepType.COMMAND, "checkout") as step:
            try:
                checkout, said = await self._open()
            except GitError as fault:
                step.write(f"{fault}\n".encode())
                step.ended(None, str(fault))
                raise AttemptFailed(Failure("checkout_failed", str(fault))) from fault
            step.write(said.encode())
            step.ended(0)
        await self._around.prepare(checkout, checkout.work, checkout.tmp, Phase.SETUP)
        return checkout

    def _reopen(self, base: str | None) -> Checkout:
        clone = None if self.repository is None else self.repository.clone
        try:
            return self.checkouts.left(self.job.id, self.job.attempt, clone, base)
        except GitError as fault:
            raise AttemptFailed(Failure("checkout_failed", str(fault))) from fault

    async def _open(self) -> tuple[Checkout, str]:
        job = self.job
        if self.repository is None:
            checkout = await self.checkouts.open(job.id, job.attempt, None, None, job.branch)
            return checkout, "an empty directory: the job names no repository\n"
        ref = job.ref or self.repository.base
        await self.checkouts.fetch(self.repository.clone)
        base = await self.checkouts.pin(self.repository.clone, ref)
        checkout = await self.checkouts.open(job.id, job.attempt, self.repository.clone, base, job.branch)
        return checkout, f"base {base} of {ref}\n"

    async def _execute(self, checkout: Checkout, number: int, failures: list[tuple[str, str]]) -> None:
        text = prompt.retry_prompt(self.prompt, number, failures) if failures else prompt.first_prompt(self.prompt)
        task = await self._task(checkout, number, text)
        await self.journal.begin_try(number, checkout.base, resumable=self.executor.resumable)
        await self._hear(number, lambda step: self.executor.run(task, step))

    async def _resume(self, checkout: Checkout, left: ResumableTry) -> None:
        task = await self._task(checkout, left.number, self.prompt)
        await self._hear(left.number, lambda step: self.executor.resume(task, left.reference, step))

    async def _hear(self, number: int, do: Callable[[RunningStep], Awaitable[ExecutionResult]]) -> None:
        name = self.type.profile.executor
        async with await self.journal.open(Phase.EXECUTION, StepType.AI_ACTION, name, number) as step:
            outcome = await do(step)
            if outcome.usage is not None:
                await step.add_usage(outcome.usage)
            step.ended(outcome.exit_code, outcome.failure.detail if outcome.failure else None)
        if outcome.failure is not None:
            raise AttemptFailed(outcome.failure)

    async def _task(self, checkout: Checkout, number: int, text: str) -> Task:
        env = self._around.environment(checkout.tmp, number, self.type.profile.env)
        return Task(
            job_id=self.job.id,
            attempt=self.job.attempt,
            number=number,
            prompt=text,
            cwd=checkout.work,
            tmp=checkout.tmp,
            root=checkout.directory,
            env=env,
            timeout=self.type.profile.timeout,
            boxed=self._around.boxed(self.type.profile.box, checkout.work, env),
            watch=self._around.watch(self.type.profile.box, checkout.work, env),
            profile=await self._profile(number),
        )

    async def _profile(self, number: int) -> AgentProfile:
        profile = self.type.profile
        try:
            budget = await self.journal.budget(number, self.budget, self.day())
        except BudgetExceeded as gone:
            if isinstance(gone, DailyBudgetExceeded) and number == 1:
                raise  # nothing has been started: it can wait
            raise AttemptFailed(Failure("budget_exceeded", str(gone), "see limits.budget in rails.yaml")) from gone
        return AgentProfile(
            name=profile.name,
            capabilities=profile.capabilities,
            tools=profile.tools,
            model=profile.model,
            sandbox=profile.sandbox,
            budget=budget,
        )

    async def _commit(self, checkout: Checkout) -> str | None:
        """Return the commit of what the agent left behind; None where it changed nothing."""
        if self.repository is None:
            return None
        try:
            commit = await checkout.commit(self._message())
        except GitError as fault:
            raise AttemptFailed(Failure("commit_failed", str(fault))) from fault
        try:
            await self.journal.save_diff(await checkout.shown(commit) if commit else b"")
        except GitError as fault:  # it is there to be looked at: no reason to fail
            await self.journal.save_diff(f"{fault}\n".encode())
        return commit

    async def _publish(self, checkout: Checkout, commit: str | None) -> Result:
        """Put the commit that passed on its branch."""
        result = Result(None, 0, 0, 0, "no changes")
        if commit is not None and self.repository is not None and self.type.needs & PUBLISHING_CAPABILITIES:
            async with await self.journal.open(Phase.CLEANUP, StepType.ARTIFACT, "publish") as step:
                try:
                    stat = await checkout.diff(commit)
                    await checkout.publish(commit, self.repository.clone, self.job.branch)
                except GitError as fault:
                    step.write(f"{fault}\n".encode())
                    raise AttemptFailed(Failure("publish_failed", str(fault))) from fault
                summary = f"+{stat.additions} -{stat.deletions} in {stat.files} file{'s' if stat.files != 1 else ''}"
                step.write(f"{commit} on {self.job.branch}\n{summary}\n".encode())
                step.ended(0)
                result = Result(commit, stat.files, stat.additions, stat.deletions, summary)
                await step.record_event("ai.artifact_created", {"name": "diffstat", **to_payload(result)})
        return result

    def _message(self) -> str:
        """Return the commit's message; a title from outside is one line of it, and cannot forge a trailer."""
        about = self.job.repository or ""
        title = self.job.type
        if self.job.thread is not None:
            about = f"{about}#{self.job.thread.number}"
            title = " ".join(f"{self.job.type}: {self.job.thread.title}".split())[:72].rstrip(": ")
        return f"{title}\n\n{about}\n\nStitcher-Job: {self.job.id}\n"
