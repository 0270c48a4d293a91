"""One attempt of a job: prepare, then execute and run the gates as often as allowed, then publish."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from shared.models import Failure, Phase, Result, RunnerJob, Start, StepType
from stitcherd.budget import Budget, BudgetExceeded, DailyBudgetExceeded
from stitcherd.config.settings import RepositorySettings
from stitcherd.executors.base import AgentProfile, ExecutionResult, Executor, PreviousTry, Task
from stitcherd.git import GitError, UncommittableTree
from stitcherd.git.checkout import Checkout, Checkouts
from stitcherd.git.publish import BranchBlocked, BranchMoved, check_branch_free
from stitcherd.git.remote import RemoteUnreachable
from stitcherd.git.repairs import Repairs
from stitcherd.git.work_tree import get_base_tree, record_baseline
from stitcherd.jobs import prompt
from stitcherd.jobs.command_runner import AttemptFailed, CommandRunner, prepare_repository
from stitcherd.jobs.commit_step import commit_try
from stitcherd.jobs.gate_runner import GateRunner
from stitcherd.jobs.job_start import (
    FindHead,
    HeadMoved,
    ask_no_forge,
    check_head,
    describe_start,
    find_start,
    starts_from_head,
)
from stitcherd.jobs.publisher import publish_commit, publish_failed, record_failure
from stitcherd.jobs.step_recorder import RunningStep, StepRecorder
from stitcherd.policy import ApprovalRequest
from stitcherd.rails.compiled import GateRule, JobType
from stitcherd.store.interruptions import ResumableTry
from stitcherd.store.publications import OtherRails
from stitcherd.store.steps import CHECKOUT_STEP, StepPlace, TryStart

PUBLISHING_CAPABILITIES = frozenset({"repo:write", "git:commit"})  # a job that needs neither has nothing to publish

LFS_NOTE = (
    "Git LFS pointers instead of their files: {pointers}. Stitcher does not speak LFS: the contents are not here, and"
    " in place of these files it commits pointers only.\n"
)


class CommitNeedsApproval(Exception):
    """All required gates passed, and `guards`, parts of the rails, require a person to approve the commit first."""

    def __init__(self, guards: tuple[str, ...], commit: str, base: str | None) -> None:
        super().__init__(commit)
        self.guards = guards
        self.commit = commit
        self.base = base


class CommitNotPublished(Exception):
    """All required gates passed, but the commit could not be published yet.

    The rails changed before, or, with an `outage`, the repository could not be reached.
    """

    def __init__(self, commit: str, base: str | None, outage: str | None = None) -> None:
        super().__init__(commit)
        self.commit = commit
        self.base = base
        self.outage = outage


class Attempt(Struct, frozen=True, kw_only=True):
    """A claimed job with all that its run needs."""

    job: RunnerJob
    prompt: str
    type: JobType
    repository: RepositorySettings | None
    executor: Executor
    checkouts: Checkouts
    recorder: StepRecorder
    environ: Mapping[str, str]  # the daemon's own, of which a job gets what its rails name
    budget: Budget = Budget()  # of the job
    daily_budget: Callable[[], Budget] = Budget
    first_step: StepPlace | None = None  # the checkout's, which has begun
    resumable: ResumableTry | None = None  # started by an earlier daemon
    rails_in_force: Callable[[], str | None]  # their digest
    approved: ApprovalRequest | None = None  # whose commit is to be published, since a person approved it
    find_head: FindHead = ask_no_forge
    gates_again: tuple[GateRule, ...] = ()  # those that the rails in force want this commit to pass first

    async def run(self) -> Result:
        """Run the attempt, from where an earlier daemon left it.

        Raises AttemptFailed where it ends early, Superseded where the job was taken away, CommitNeedsApproval,
        CommitNotPublished, and ExecutorUnavailable, RemoteUnreachable or DailyBudgetExceeded where nothing started.
        """
        if self.approved is not None:
            checkout = self._reopen(self.approved.base)
            await self._judge_again(checkout, self.approved.commit)
            return await self._publish(checkout, self.job.start, self.approved.commit)
        resumable = self.resumable
        checkout, start = await self._begin()
        task = prompt.with_start(self.prompt, self.job.thread, start, from_head=starts_from_head(start))
        gates = self._gate_runner(checkout, self.type.gates)
        number, feedback = resumable.number if resumable else 1, ""
        reference = resumable.reference if resumable else None  # of the newest try
        while True:
            if resumable is None or number > resumable.number:
                reference = await self._execute(checkout, number, task, feedback, reference)
            elif not resumable.ended:
                reference = await self._resume(checkout, resumable) or reference
            try:
                commit = await commit_try(self.job, checkout, self.recorder, number)
            except UncommittableTree as error:
                feedback = prompt.uncommitted_feedback(number + 1, str(error))
                failure = Failure("commit_failed", str(error), "see the log of the step commit")
            else:
                failures, guards = await gates.run(commit, number)
                if not failures and guards and commit is not None:
                    raise CommitNeedsApproval(guards, commit, checkout.base)
                if not failures:
                    return await self._publish(checkout, start, commit)
                feedback = prompt.gates_feedback(number + 1, failures)
                failure = self._gates_failed(failures, number)
            if number >= self.type.tries:
                raise AttemptFailed(failure)
            number += 1

    async def _begin(self) -> tuple[Checkout, Start | None]:
        """Return the checkout of all tries, and what it starts from."""
        if self.resumable is None:
            return await self._prepare()
        return self._reopen(self.resumable.base), self.job.start

    async def _judge_again(self, checkout: Checkout, commit: str | None) -> None:
        """Let a kept commit pass the gates that changed rails require.

        Raises AttemptFailed where one fails, CommitNeedsApproval where one needs the approval of a person (again).
        """
        number = self.job.tries.used
        failures, guards = await self._gate_runner(checkout, self.gates_again).run(commit, number)
        if failures:
            names = ", ".join(name for name, _ in failures)
            detail = f"gate {names} failed under the rails in force, which changed after it passed"
            raise AttemptFailed(Failure("gates_failed", detail, "see the gate's log for what it printed"))
        if guards and commit is not None:
            raise CommitNeedsApproval(guards, commit, checkout.base)

    def _gates_failed(self, failures: Sequence[tuple[str, str]], number: int) -> Failure:
        names = ", ".join(name for name, _ in failures)
        detail = f"gate {names} failed in try {number} of {self.type.tries}"
        return Failure("gates_failed", detail, "see the gate's log for what it printed")

    def _command_runner(self, checkout: Checkout, number: int = 0) -> CommandRunner:
        """Return what runs commands as the agent of try `number` runs; 0 is before the first."""
        return CommandRunner(
            job_id=self.job.id,
            attempt=self.job.attempt,
            number=number,
            root=checkout.directory,
            cwd=checkout.work,
            tmp=checkout.tmp,
            environ=self.environ,
            env_names=self.type.profile.env,
            sandbox=self.type.profile.box,
        )

    def _gate_runner(self, checkout: Checkout, gates: tuple[GateRule, ...]) -> GateRunner:
        return GateRunner(
            type=replace(self.type, gates=gates),
            repository=self.repository,
            checkout=checkout,
            commands=self._command_runner(checkout),
            recorder=self.recorder,
        )

    async def _prepare(self) -> tuple[Checkout, Start | None]:
        if self.first_step is not None:
            step = self.recorder.running(self.first_step)
        else:
            step = await self.recorder.open(Phase.SETUP, StepType.COMMAND, CHECKOUT_STEP)
        async with step:
            try:
                checkout, start, output = await self._open()
            except (BranchBlocked, BranchMoved, HeadMoved) as error:
                raise publish_failed(error, step) from error
            except RemoteUnreachable as error:
                record_failure(error, step)
                raise
            except GitError as error:
                record_failure(error, step)
                raise AttemptFailed(Failure("checkout_failed", str(error))) from error
            step.write(output.encode())
            step.finish(0)
        commands, timeout = self._command_runner(checkout), self.type.profile.timeout
        await prepare_repository(self.repository, commands, self.recorder, Phase.SETUP, timeout)
        try:
            await record_baseline(checkout, prepared=bool(self.repository and self.repository.prepare))
        except GitError as error:
            detail = f"What was there before the agent cannot be recorded: {error}"
            raise AttemptFailed(Failure("prepare_failed", detail)) from error
        return checkout, start

    def _reopen(self, base: str | None) -> Checkout:
        clone = None if self.repository is None else self.repository.clone
        start = self.job.start
        ref = start.ref if start else ""
        gate_base = start.gate_base if start and start.sha == base else None
        try:
            return self.checkouts.reopen(self.job.id, self.job.attempt, clone, base, gate_base, ref)
        except GitError as error:
            raise AttemptFailed(Failure("checkout_failed", str(error))) from error

    async def _open(self) -> tuple[Checkout, Start | None, str]:
        """Return a new checkout, what it starts from, and what its step prints."""
        job = self.job
        if self.repository is None:
            return await self.checkouts.open(job.id, job.attempt, None, None, job.branch), None, ""
        mirror = self.checkouts.mirror(self.repository.clone)
        note = await mirror.fetch()
        if self._may_publish:
            await check_branch_free(mirror, job.branch, await self.recorder.published_commits())
        repairs = Repairs(mirror, job.ref or "")
        start = await repairs.run(partial(find_start, job, self.repository, mirror))
        await self.recorder.save_start(start)
        checkout = await self.checkouts.open(
            job.id, job.attempt, mirror.clone, start.sha, job.branch, gate_base=start.gate_base, ref=start.ref
        )
        output = (
            f"{note}{repairs.take_notes()}{checkout.repairs.take_notes()}{describe_start(job, start, mirror.clone)}"
        )
        if pointers := (await get_base_tree(checkout)).lfs_pointers:
            output += LFS_NOTE.format(pointers=pointers)
        return checkout, start, output

    async def _execute(
        self, checkout: Checkout, number: int, text: str, feedback: str, previous: dict[str, str] | None
    ) -> dict[str, str] | None:
        """Start the executor for a new try, and return the reference that it saved last."""
        whole = prompt.further_prompt(text, feedback) if feedback else prompt.first_prompt(text)
        task = await self._task(checkout, number, whole)
        if previous is not None:
            task = replace(task, previous=PreviousTry(previous, prompt.follow_up_prompt(feedback)))
        start = TryStart(checkout.base, self.executor.resumable)
        return await self._record_execution(number, lambda step: self.executor.run(task, step), start)

    async def _resume(self, checkout: Checkout, resumable: ResumableTry) -> dict[str, str] | None:
        task = await self._task(checkout, resumable.number, self.prompt)
        return await self._record_execution(
            resumable.number, lambda step: self.executor.resume(task, resumable.reference, step)
        )

    async def _record_execution(
        self,
        number: int,
        execute: Callable[[RunningStep], Awaitable[ExecutionResult]],
        start: TryStart | None = None,
    ) -> dict[str, str] | None:
        """Let the executor work in a step of its own, and return the reference that it saved last.

        Raises AttemptFailed where it fails.
        """
        name = self.type.profile.executor
        async with await self.recorder.open(
            Phase.EXECUTION, StepType.AI_ACTION, name, number, self.type.profile.timeout, start
        ) as step:
            result = await execute(step)
            if result.usage is not None:
                await step.add_usage(result.usage)
            step.finish(result.exit_code, result.failure.detail if result.failure else None)
        if result.failure is not None:
            raise AttemptFailed(result.failure)
        return step.reference

    async def _task(self, checkout: Checkout, number: int, text: str) -> Task:
        return Task(
            job_id=self.job.id,
            attempt=self.job.attempt,
            number=number,
            prompt=text,
            cwd=checkout.work,
            timeout=self.type.profile.timeout,
            run_command=replace(self._command_runner(checkout, number), kept_home=checkout.agent_home).run,
            profile=await self._profile(number),
        )

    async def _profile(self, number: int) -> AgentProfile:
        """Return the agent's profile with the budget that is left for try `number`."""
        profile = self.type.profile
        try:
            budget = await self.recorder.budget(number, self.budget, self.daily_budget())
        except BudgetExceeded as error:
            if isinstance(error, DailyBudgetExceeded) and number == 1:
                raise  # nothing has been started: it can wait
            raise AttemptFailed(Failure("budget_exceeded", str(error), "see limits.budget in rails.yaml")) from error
        return AgentProfile(
            name=profile.name,
            capabilities=profile.capabilities,
            tools=profile.tools,
            model=profile.model,
            sandbox=profile.sandbox,
            budget=budget,
        )

    async def _publish(self, checkout: Checkout, start: Start | None, commit: str | None) -> Result:
        """Publish the commit that passed, where there is one and the type of job may write."""
        if commit is None or self.repository is None or not self._may_publish:
            return Result(None, 0, 0, 0, "no changes")
        try:
            clone = self.repository.clone
            remote, mirror = self.checkouts.remote(clone), self.checkouts.mirror(clone)
            check = partial(checkout.repairs.run, partial(check_head, self.job, start, mirror, self.find_head))
            return await publish_commit(self.job, checkout, commit, remote, self.recorder, self.rails_in_force, check)
        except OtherRails as changed:
            raise CommitNotPublished(commit, checkout.base) from changed
        except RemoteUnreachable as outage:
            reason = self.recorder.redaction.mask_text(str(outage))
            raise CommitNotPublished(commit, checkout.base, reason) from outage

    @property
    def _may_publish(self) -> bool:
        return bool(self.type.needs & PUBLISHING_CAPABILITIES)
