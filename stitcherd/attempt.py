"""One attempt of a job, a staircase: prepare, then execute and judge as often as allowed, then publish."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from msgspec import Struct

from shared.models import Failure, Phase, Result, RunnerJob, StepType
from stitcherd import processes, prompt, sandbox
from stitcherd.executors import Executor, Profile, Task, Unavailable
from stitcherd.gates import BUILTINS, command
from stitcherd.gates.diff_rules import Terms
from stitcherd.gates.result import GateResult
from stitcherd.git import GitFailed
from stitcherd.git.checkout import Checkout
from stitcherd.git.checkouts import Checkouts
from stitcherd.rails.rulebook import Gate, JobType
from stitcherd.sandbox import Box
from stitcherd.settings.tables import RepositorySettings
from stitcherd.steps import Journal
from stitcherd.store.rows import builtins

FEEDBACK_BYTES = 12_000  # of a failed gate's output that the agent is shown
WRITES = frozenset({"repo:write", "git:commit"})  # a job that needs neither has nothing to publish


class Failed(Exception):
    """The attempt cannot be completed; `failure` is what the job says of it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


class Attempt(Struct, frozen=True, kw_only=True):
    """A claimed job with all that its run needs."""

    job: RunnerJob
    prompt: str
    type: JobType
    repository: RepositorySettings | None
    executor: Executor
    checkouts: Checkouts
    journal: Journal
    environ: Mapping[str, str]  # the daemon's own, of which a job gets what its rails name

    async def run(self) -> Result:
        """Walk the staircase; raise Failed where it ends early, Superseded where the job was taken away."""
        checkout = await self._prepare()
        failures: list[tuple[str, str]] = []
        for number in range(1, self.type.tries + 1):
            await self._execute(checkout, number, failures)
            commit = await self._commit(checkout)
            failures = await self._judge(checkout, commit, number)
            if not failures:
                return await self._publish(checkout, commit)
        names = ", ".join(name for name, _ in failures)
        raise Failed(
            Failure(
                "gates_failed",
                f"gate {names} failed in try {self.type.tries} of {self.type.tries}",
                "see the gate's log for what it printed",
            )
        )

    async def _prepare(self) -> Checkout:
        async with await self.journal.open(Phase.SETUP, StepType.COMMAND, "checkout") as step:
            try:
                checkout, said = await self._open()
            except GitFailed as fault:
                step.say(f"{fault}\n".encode())
                step.ended(None, str(fault))
                raise Failed(Failure("checkout_failed", str(fault))) from fault
            step.say(said.encode())
            step.ended(0)
        await self._run_prepare(checkout, checkout.work, checkout.tmp, Phase.SETUP)
        return checkout

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

    async def _run_prepare(self, checkout: Checkout, where: Path, tmp: Path, phase: Phase) -> None:
        if self.repository is None or not self.repository.prepare:
            return
        async with await self.journal.open(phase, StepType.COMMAND, "prepare") as step:
            for argv in self.repository.prepare:
                step.say(f"$ {' '.join(argv)}\n".encode())
                env = self._environment(tmp, 0, self.type.profile.env)
                verdict = await command.judge(
                    self._boxed(self.type.profile.box, where, env)(argv),
                    cwd=where,
                    env=env,
                    timeout=self.type.profile.timeout,
                    retries=0,
                    say=step.say,
                    job_id=self.job.id,
                    root=checkout.directory,
                )
                if not verdict.ok:
                    step.ended(verdict.exit_code, verdict.reason)
                    detail = f"{' '.join(argv)}: {verdict.reason}"
                    raise Failed(Failure("prepare_failed", detail, "see [repositories] prepare in stitcherd.toml"))
            step.ended(0)

    async def _execute(self, checkout: Checkout, number: int, failures: list[tuple[str, str]]) -> None:
        text = prompt.again(self.prompt, number, failures) if failures else prompt.first(self.prompt)
        env = self._environment(checkout.tmp, number, self.type.profile.env)
        task = Task(
            job_id=self.job.id,
            attempt=self.job.attempt,
            number=number,
            prompt=text,
            cwd=checkout.work,
            tmp=checkout.tmp,
            root=checkout.directory,
            env=env,
            timeout=self.type.profile.timeout,
            boxed=self._boxed(self.type.profile.box, checkout.work, env),
            profile=self._profile(),
        )
        await self.journal.begin_try(number)
        async with await self.journal.open(
            Phase.EXECUTION, StepType.AI_ACTION, self.type.profile.executor, number
        ) as step:
            try:
                outcome = await self.executor.run(task, step)
            except Unavailable as gone:
                raise Failed(Failure("executor_unavailable", str(gone))) from gone
            if outcome.usage is not None:
                await step.used(outcome.usage)
            step.ended(outcome.exit_code, outcome.failure.detail if outcome.failure else None)
        if outcome.failure is not None:
            raise Failed(outcome.failure)

    def _profile(self) -> Profile:
        profile = self.type.profile
        return Profile(
            name=profile.name,
            capabilities=profile.capabilities,
            tools=profile.tools,
            model=profile.model,
            sandbox=profile.sandbox,
        )

    async def _commit(self, checkout: Checkout) -> str | None:
        """Return the commit of what the agent left behind; None where it changed nothing."""
        if self.repository is None:
            return None
        try:
            return await checkout.commit(self._message())
        except GitFailed as fault:
            raise Failed(Failure("commit_failed", str(fault))) from fault

    async def _judge(self, checkout: Checkout, commit: str | None, number: int) -> list[tuple[str, str]]:
        """Return the required gates that failed, with what they printed."""
        if not self.type.gates:
            return []
        where = checkout.work
        if self.repository is not None:
            where = await checkout.fresh(f"gates-{number}", commit or str(checkout.base))
            await self._run_prepare(checkout, where, await checkout.scratch("gates"), Phase.VALIDATION)
        failures = []
        for gate in self.type.gates:
            async with await self.journal.open(Phase.VALIDATION, StepType.GATE, gate.name, number) as step:
                if self.repository is not None:
                    await checkout.reset(where, commit or str(checkout.base))
                    await checkout.restore_from_base(where, gate.from_base)
                verdict = await self._ask(gate, checkout, commit, where, number, step.say)
                why = verdict.reason if gate.required else f"{verdict.reason} It is not required."
                step.ended(verdict.exit_code, None if verdict.ok else why, reason=why if verdict.flaky else None)
            if gate.required and not verdict.ok:
                failures.append((gate.name, step.tail(FEEDBACK_BYTES) or verdict.reason))
        return failures

    async def _ask(
        self,
        gate: Gate,
        checkout: Checkout,
        commit: str | None,
        where: Path,
        number: int,
        say: Callable[[bytes], None],
    ) -> GateResult:
        if gate.run is None:
            terms = Terms(gate.paths, gate.timeout, self.journal.redaction.clean)
            return await BUILTINS[str(gate.builtin)](checkout, commit, terms, say)
        # What an agent, or another gate, left in its own TMPDIR is not there to be found by this one.
        env = self._environment(await checkout.scratch("gates"), number, gate.env)
        return await command.judge(
            self._boxed(gate.box, where, env)(gate.run),
            cwd=where,
            env=env,
            timeout=gate.timeout,
            retries=gate.retries,
            say=say,
            job_id=self.job.id,
            root=checkout.directory,
        )

    async def _publish(self, checkout: Checkout, commit: str | None) -> Result:
        """Put the commit that passed on its branch."""
        result = Result(None, 0, 0, 0, "no changes")
        if commit is not None and self.repository is not None and self.type.needs & WRITES:
            async with await self.journal.open(Phase.CLEANUP, StepType.ARTIFACT, "publish") as step:
                try:
                    stat = await checkout.diff(commit)
                    await checkout.publish(commit, self.repository.clone, self.job.branch)
                except GitFailed as fault:
                    step.say(f"{fault}\n".encode())
                    raise Failed(Failure("publish_failed", str(fault))) from fault
                summary = f"+{stat.additions} -{stat.deletions} in {stat.files} file{'s' if stat.files != 1 else ''}"
                step.say(f"{commit} on {self.job.branch}\n{summary}\n".encode())
                step.ended(0)
                result = Result(commit, stat.files, stat.additions, stat.deletions, summary)
                await step.note("ai.artifact_created", {"name": "diffstat", **builtins(result)})
        return result

    def _boxed(self, box: Box | None, where: Path, env: Mapping[str, str]) -> Callable[[Sequence[str]], list[str]]:
        return partial(sandbox.wrap, box=box, cwd=where, tmp=Path(env["TMPDIR"]), home=env.get("HOME"))

    def _environment(self, tmp: Path, number: int, extra: Sequence[str]) -> dict[str, str]:
        return processes.environment(
            self.environ,
            job_id=self.job.id,
            attempt=self.job.attempt,
            number=number,
            tmp=tmp,
            extra=extra,
        )

    def _message(self) -> str:
        """Return the commit's message; a title from outside is one line of it, and cannot forge a trailer."""
        about = self.job.repository or ""
        title = self.job.type
        if self.job.thread is not None:
            about = f"{about}#{self.job.thread.number}"
            title = " ".join(f"{self.job.type}: {self.job.thread.title}".split())[:72].rstrip(": ")
        return f"{title}\n\n{about}\n\nStitcher-Job: {self.job.id}\n"
