"""Runs the commands of a job: in their sandbox and environment, and ended with all that they started."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from shared.models import Failure, Phase, StepType
from stitcherd import processes
from stitcherd.config.settings import RepositorySettings
from stitcherd.jobs.step_recorder import StepRecorder
from stitcherd.sandbox import bubblewrap, limits
from stitcherd.sandbox.bubblewrap import SandboxSpec
from stitcherd.sandbox.programs import start_fault


class AttemptFailed(Exception):
    """The attempt cannot be completed; `failure` is what the job reports."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


class CommandRunner(Struct, frozen=True, kw_only=True):
    """Runs commands of one attempt in one directory; derive one for another directory with `msgspec.structs.replace`.

    `number` is the try that a command belongs to, 0 before the first. Of `environ`, the daemon's own environment,
    a command gets a fixed list of names and `env_names`. In a sandbox it also sees the directories `shown`, read-only,
    and its HOME is `kept_home`; without one it is a new, empty directory.
    """

    job_id: str
    attempt: int
    number: int = 0
    root: Path  # the job's own directory: whatever runs below it belongs to the job
    cwd: Path
    tmp: Path
    environ: Mapping[str, str]
    env_names: Sequence[str] = ()
    sandbox: SandboxSpec | None = None
    kept_home: Path | None = None
    shown: tuple[Path, ...] = ()

    @property
    def env(self) -> dict[str, str]:
        """The whole environment of a command."""
        return processes.build_environment(
            self.environ,
            job_id=self.job_id,
            attempt=self.attempt,
            number=self.number,
            tmp=self.tmp,
            extra=self.env_names,
        )

    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float | None,  # noqa: ASYNC109 (as in processes.run)
        write: Callable[[bytes], None],
        stdin: processes.Stdin = b"",
        write_error: Callable[[bytes], None] | None = None,
    ) -> processes.ExitStatus:
        """Run a command to its end and return how it ended; its output goes to `write`.

        stderr goes to `write_error` where there is one; `timeout` is in seconds. Raises CannotStart.
        """
        env, sandbox = self.env, self.sandbox
        home, kept_home = env.get("HOME"), self.kept_home
        written = (self.cwd, self.tmp) if kept_home is None else (self.cwd, self.tmp, kept_home)
        if sandbox is not None:
            sandbox = replace(sandbox, mounts=(*sandbox.mounts, *map(str, self.shown)))
        if sandbox is not None and argv:
            seen = (self.cwd, self.tmp)
            if fault := start_fault(argv[0], sandbox, search_path=env["PATH"], directories=seen):
                raise processes.CannotStart(fault)
        with bubblewrap.wrap_command(
            argv, sandbox, cwd=self.cwd, tmp=self.tmp, home=home, kept_home=kept_home
        ) as command:
            return await processes.run(
                command.argv,
                cwd=self.cwd,
                env=env,
                stdin=stdin,
                timeout=timeout,
                write=write,
                write_error=write_error,
                job_id=self.job_id,
                root=self.root,
                watch=limits.watch_limits(sandbox, written, home if kept_home is None else None),
                pass_fds=command.pass_fds,
            )


async def prepare_repository(
    repository: RepositorySettings | None,
    commands: CommandRunner,
    recorder: StepRecorder,
    phase: Phase,
    timeout: float | None,  # noqa: ASYNC109 (as in processes.run)
) -> None:
    """Run the `prepare` commands of a repository in a new checkout of it, `timeout` seconds each.

    Raises AttemptFailed.
    """
    if repository is None or not repository.prepare:
        return
    async with await recorder.open(phase, StepType.COMMAND, "prepare") as step:
        for argv in repository.prepare:
            step.write(f"$ {' '.join(argv)}\n".encode())
            code, error = await _try_command(commands, argv, timeout, step.write)
            if error is not None:
                step.finish(code, error)
                detail = f"{' '.join(argv)}: {error}"
                raise AttemptFailed(Failure("prepare_failed", detail, "see [repositories] prepare in stitcherd.toml"))
        step.finish(0)


async def _try_command(
    commands: CommandRunner,
    argv: Sequence[str],
    timeout: float | None,  # noqa: ASYNC109 (as in processes.run)
    write: Callable[[bytes], None],
) -> tuple[int | None, str | None]:
    """Run a command and return its exit code, and why it failed, as a sentence."""
    try:
        ended = await commands.run(argv, timeout=timeout, write=write)
    except processes.CannotStart as error:
        return None, str(error)
    if ended.timed_out:
        return ended.code, f"The command was still running after {timeout:g} s and was ended."
    return ended.code, None if ended.ok else f"The command {ended}."
