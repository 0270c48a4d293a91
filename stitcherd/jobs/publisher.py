"""Publishes the commit of a job on the job's branch, and names the commit."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from itertools import chain

from shared.models import Failure, Phase, Result, RunnerJob, StepType
from stitcherd import crash_points
from stitcherd.git import GitError
from stitcherd.git.checkout import Checkout
from stitcherd.git.commit import added_lines, added_names, diff_stat, write_patch
from stitcherd.git.publish import BranchMoved, PushRefused, publish
from stitcherd.git.remote import Remote, RemoteUnreachable
from stitcherd.git.tree_changes import DiffStat
from stitcherd.jobs.command_runner import AttemptFailed
from stitcherd.jobs.job_start import HEAD_MOVED_HINT, HeadMoved
from stitcherd.jobs.redaction import Redaction
from stitcherd.jobs.step_recorder import RunningStep, StepRecorder
from stitcherd.store.kept_commits import PublicationRetry
from stitcherd.store.rows import to_payload

RETRY_DELAYS_MS = (5_000, 15_000, 45_000, 135_000, 405_000, 900_000)  # while a repository cannot be reached
GIVE_UP_MS = 24 * 3_600_000
UNSAFE_IN_SUBJECT = re.compile(r"[^A-Za-z0-9_./-]+")


async def publish_commit(
    job: RunnerJob,
    checkout: Checkout,
    commit: str,
    remote: Remote,
    recorder: StepRecorder,
    rails_in_force: Callable[[], str | None],
    check_head: Callable[[], Awaitable[None]],
) -> Result:
    """Update the job's branch in a repository to a commit that passed.

    From the moment that is recorded the job cannot be cancelled. `rails_in_force` returns their digest; `check_head`
    raises HeadMoved where the commit is not to be published any more, and GitError. An outage is thereby counted from
    the same moment, whether it is that of the check or of the push.
    Raises AttemptFailed, Superseded, OtherRails, RemoteUnreachable.
    """
    async with await recorder.open(Phase.CLEANUP, StepType.ARTIFACT, "publish") as step:
        try:
            await _refuse_secrets(checkout, commit, recorder.redaction)
            result = _result(commit, await diff_stat(checkout, commit))
            earlier = await recorder.published_commits()
            if not await recorder.begin_publication(result, rails_in_force()):
                raise AttemptFailed(Failure("cancelled", "the job was cancelled"))
            await check_head()
            await recorder.check_fence()  # the head was asked of a forge, which may take longer than a lease
            crash_points.reach("before_publish")
            await publish(checkout, commit, remote, job.branch, earlier)
            crash_points.reach("after_publish")
        except RemoteUnreachable as error:
            record_failure(error, step)
            raise
        except GitError as error:
            raise publish_failed(error, step) from error
        step.write(f"{checkout.repairs.take_notes()}{commit} on {job.branch}\n{result.summary}\n".encode())
        step.finish(0)
        await step.record_event("ai.artifact_created", {"name": "diffstat", **to_payload(result)})
    return result


async def _refuse_secrets(checkout: Checkout, commit: str, redaction: Redaction) -> None:
    """Raise AttemptFailed if a commit adds a secret, whether or not a gate looked for one; raises GitError."""
    patch = await write_patch(checkout, commit)
    if await asyncio.to_thread(redaction.occurs_in, chain([b"\n".join(added_names(patch))], added_lines(patch))):
        raise AttemptFailed(
            Failure(
                "secret_in_commit",
                "The commit adds a secret of stitcherd.toml, or a value that `env` passes to the agent or a gate.",
                "the job's diff shows [secret] in its place",
            )
        )


def publish_failed(error: GitError, step: RunningStep) -> AttemptFailed:
    """Write all that git printed to a step, and return the failure that the job reports."""
    record_failure(error, step)
    hint = None
    match error:
        case HeadMoved():
            code, hint = "head_moved", HEAD_MOVED_HINT
        case BranchMoved():
            code = "branch_moved"
        case PushRefused():
            code = "push_refused"
        case _:
            code = "publish_failed"
    return AttemptFailed(Failure(code, str(error), hint))


def publication_retry(outage: str) -> PublicationRetry:
    """Return when a commit is published again that could not be, because its repository cannot be reached."""
    given_up = Failure("publish_failed", f"for 24 hours the repository could not be reached: {outage}")
    return PublicationRetry(repository_unreachable(outage), RETRY_DELAYS_MS, GIVE_UP_MS, given_up)


def repository_unreachable(outage: str) -> str:
    """Return why a job is held during an outage of its repository."""
    return f"the repository cannot be reached: {outage}"


def record_failure(error: GitError, step: RunningStep) -> None:
    """Write all that git printed to a step, and finish it."""
    step.write(f"{error.output}\n".encode())
    step.finish(None, str(error))


def commit_message(job: RunnerJob) -> str:
    """Return the message of a job's commit, of our own words only.

    A forge closes issues for a keyword before a reference, so the reference comes first and only once; no text of the
    thread is included, which could ask a forge for more: mentions, skipped checks, trailers.
    """
    place = job.repository or ""
    if job.thread is not None:
        place = f"{place}#{job.thread.number}"
    subject = ": ".join(filter(None, (place, UNSAFE_IN_SUBJECT.sub("-", job.type))))
    return f"{subject}\n\nStitcher-Job: {job.id}\n"


def _result(commit: str, stat: DiffStat) -> Result:
    return Result(commit, stat.files, stat.additions, stat.deletions, str(stat))
