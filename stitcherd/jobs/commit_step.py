"""Commits what the agent left in a try, in a step of its own, and saves what it changed for people to read."""

from shared.models import Failure, Phase, RunnerJob, StepType
from stitcherd.git import GitError, UncommittableTree
from stitcherd.git.checkout import Checkout
from stitcherd.git.commit import diff_stat, write_diff_file
from stitcherd.git.work_tree import commit_work_tree
from stitcherd.jobs.command_runner import AttemptFailed
from stitcherd.jobs.publisher import commit_message, record_failure
from stitcherd.jobs.step_recorder import RunningStep, StepRecorder


async def commit_try(job: RunnerJob, checkout: Checkout, recorder: StepRecorder, number: int) -> str | None:
    """Commit what the agent left in try `number` and return the commit; None where it changed nothing.

    Without a repository there is no step. Raises AttemptFailed, and, where the agent can remove the reason,
    UncommittableTree.
    """
    if checkout.mirror is None:
        return None
    async with await recorder.open(Phase.VALIDATION, StepType.COMMAND, "commit", number) as step:
        try:
            commit = await commit_work_tree(checkout, commit_message(job))
        except GitError as error:
            record_failure(error, step)
            if isinstance(error, UncommittableTree):
                raise
            raise AttemptFailed(Failure("commit_failed", str(error))) from error
        await _save_diff(checkout, commit, recorder, step)
        step.write(checkout.repairs.take_notes().encode())
        step.finish(0)
    return commit


async def _save_diff(checkout: Checkout, commit: str | None, recorder: StepRecorder, step: RunningStep) -> None:
    if commit is None:
        await recorder.save_diff(b"")
        step.write(b"nothing was changed\n")
        return
    try:
        await recorder.save_diff(await write_diff_file(checkout, commit))
        step.write(f"{commit}\n{await diff_stat(checkout, commit)}\n".encode())
    except GitError as error:  # the diff is only for people to read: no reason to fail
        await recorder.save_diff(f"{error}\n".encode())
