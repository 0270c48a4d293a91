"""What a job's commands run in: their environment, their sandbox, and the repository's own preparation."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from msgspec import Struct

from shared.models import Failure, Phase, RunnerJob, StepType
from stitcherd import processes
from stitcherd.config.settings import RepositorySettings
from stitcherd.gates import command
from stitcherd.git.checkout import Checkout
from stitcherd.jobs.step_recorder import StepRecorder
from stitcherd.rails.compiled import JobType
from stitcherd.sandbox import bubblewrap, limits
from stitcherd.sandbox.bubblewrap import SandboxSpec


class AttemptFailed(Exception):
    """The attempt cannot be completed; `failure` is what the job says of it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


class CommandRunner(Struct, frozen=True, kw_only=True):
    """A claimed job, as far as its commands have to do with it."""

    job: RunnerJob
    type: JobType
    repository: RepositorySettings | None
    journal: StepRecorder
    environ: Mapping[str, str]  # the daemon's own, of which a job gets what its rails name

    async def prepare(self, checkout: Checkout, where: Path, tmp: Path, phase: Phase) -> None:
        """Run what the repository wants run in a new checkout of it; raises Failed."""
        if self.repository is None or not self.repository.prepare:
            return
        async with await self.journal.open(phase, StepType.COMMAND, "prepare") as step:
            for argv in self.repository.prepare:
                step.write(f"$ {' '.join(argv)}\n".encode())
                env = self.environment(tmp, 0, self.type.profile.env)
                verdict = await command.run_command_gate(
                    self.boxed(self.type.profile.box, where, env)(argv),
                    cwd=where,
                    env=env,
                    timeout=self.type.profile.timeout,
                    retries=0,
                    write=step.write,
                    job_id=self.job.id,
                    root=checkout.directory,
                    watch=self.watch(self.type.profile.box, where, env),
                )
                if not verdict.ok:
                    step.ended(verdict.exit_code, verdict.reason)
                    detail = f"{' '.join(argv)}: {verdict.reason}"
                    raise AttemptFailed(
                        Failure("prepare_failed", detail, "see [repositories] prepare in stitcherd.toml")
                    )
            step.ended(0)

    def boxed(
        self, box: SandboxSpec | None, where: Path, env: Mapping[str, str]
    ) -> Callable[[Sequence[str]], list[str]]:
        """Return what puts a command line into the sandbox."""
        return partial(bubblewrap.wrap_command, box=box, cwd=where, tmp=Path(env["TMPDIR"]), home=env.get("HOME"))

    def watch(self, box: SandboxSpec | None, where: Path, env: Mapping[str, str]) -> processes.LimitWatch | None:
        """Return what looks after the limits of a command that the kernel does not keep."""
        return limits.watch_limits(box, (where, Path(env["TMPDIR"])), env.get("HOME"))

    def environment(self, tmp: Path, number: int, extra: Sequence[str]) -> dict[str, str]:
        """Return the whole environment of a command of the try; 0 is none."""
        return processes.build_environment(
            self.environ,
            job_id=self.job.id,
            attempt=self.job.attempt,
            number=number,
            tmp=tmp,
            extra=extra,
        )
