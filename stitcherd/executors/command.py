"""The executor that is any program: the prompt on its stdin, the checkout as its working directory."""

from collections.abc import Sequence

from msgspec import Struct

from shared.models import Failure
from stitcherd import processes
from stitcherd.executors import Outcome, Task, Voice


class CommandExecutor(Struct, frozen=True):
    """Runs `argv` for each try."""

    argv: Sequence[str]

    async def run(self, task: Task, voice: Voice) -> Outcome:
        """Run the program; failures are `executor_cannot_start`, `executor_timeout` and `executor_failed`."""
        try:
            ended = await processes.run(
                task.boxed(self.argv),
                cwd=task.cwd,
                env=task.env,
                stdin=task.prompt.encode(errors="replace"),
                timeout=task.timeout,
                say=voice.say,
                job_id=task.job_id,
                root=task.root,
            )
        except processes.CannotStart as fault:
            return Outcome(failure=Failure("executor_cannot_start", str(fault)))
        if ended.timed_out:
            detail = f"The executor was still running after {task.timeout:g} s and was ended."
            return Outcome(ended.code, Failure("executor_timeout", detail))
        if ended.code != 0:
            return Outcome(ended.code, Failure("executor_failed", f"The executor {ended}."))
        return Outcome(0)
