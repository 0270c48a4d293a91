"""Commits that passed and are not published yet: the job is queued again with its commit, in the same attempt.

Once it is claimed again, the commit is published, after the gates that changed rails require. No try is started.
"""

from msgspec import Struct
from msgspec.structs import replace

from shared.models import Failure, Status
from stitcherd.policy import ApprovalRequest
from stitcherd.store import transitions
from stitcherd.store.approvals import RAILS_ACTOR, decode_approval, save_request
from stitcherd.store.db import Db
from stitcherd.store.steps import end_open_steps

RAILS_CHANGED = "the rails changed before it was published: it is decided again"


class PublicationRetry(Struct, frozen=True):
    """Why a commit was not published, and when that is tried again.

    `delays` are those after the first, second, … failure; the last one applies to all others. A failure later than
    `give_up_after` since the first push ends the job with `failure`. Both in milliseconds.
    """

    reason: str
    delays: tuple[int, ...]
    give_up_after: int
    failure: Failure


def requeue_commit(db: Db, job_id: str, fence: tuple[int, str], now: int, kept: ApprovalRequest) -> Status | None:
    """Requeue a running job, with its commit, that was not published because the rails had changed.

    The commit is kept like one that was approved. A guard's approval is kept with it. Return the job's new status,
    None where the fence does not hold.
    """
    return _requeue(db, job_id, fence, now, kept, RAILS_CHANGED, None)


def retry_publication(
    db: Db,
    job_id: str,
    fence: tuple[int, str],
    now: int,
    kept: ApprovalRequest,
    retry: PublicationRetry,
) -> Status | None:
    """Requeue a running job, with its commit, whose repository cannot be reached; end it after too long a time.

    Until it is claimed again it can be cancelled. Return the job's new status, None where the fence does not hold.
    """
    job = transitions.find_job_row(db, job_id)
    if not transitions.is_running(job, fence):
        return None
    end_open_steps(db, job, now, retry.reason)  # there are some if an earlier daemon left it
    row = db.execute(
        "SELECT p.at, p.failures FROM publications p JOIN jobs j ON j.key = p.job AND j.attempt = p.attempt"
        " WHERE j.id = ?",
        (job_id,),
    ).fetchone()
    first, failures = (row["at"], row["failures"]) if row else (now, 0)
    if now - first > retry.give_up_after:
        return transitions.conclude(db, job_id, fence, now, retry.failure)
    held_until = now + retry.delays[min(failures, len(retry.delays) - 1)]
    status = _requeue(db, job_id, fence, now, kept, retry.reason, held_until)
    if status is Status.QUEUED:
        db.execute(
            "UPDATE publications SET active = 0, failures = failures + 1"
            " WHERE (job, attempt) = (SELECT key, attempt FROM jobs WHERE id = ?)",
            (job_id,),
        )
    return status


def _requeue(
    db: Db,
    job_id: str,
    fence: tuple[int, str],
    now: int,
    kept: ApprovalRequest,
    held: str,
    held_until: int | None,
) -> Status | None:
    status = transitions.queue_same_attempt(db, job_id, fence, now, held, held_until)
    if status is not Status.QUEUED:
        return status
    job = transitions.find_job_row(db, job_id)
    given = db.execute("SELECT * FROM approvals WHERE job = ? AND approved_by IS NOT NULL", (job["key"],)).fetchone()
    earlier, approved_by, approver_id = decode_approval(given), RAILS_ACTOR, None
    kept = replace(kept, judged_under=job["decided_under"])
    if earlier is not None and earlier.commit is None:
        names = ("attempt", "commit", "base", "judged_by", "judged_under")
        kept = replace(earlier, **{name: getattr(kept, name) for name in names})
        approved_by, approver_id = given["approved_by"], given["approver_id"]
    save_request(db, job["key"], kept)
    db.execute(
        "UPDATE approvals SET approved_by = ?, approver_id = ? WHERE job = ?", (approved_by, approver_id, job["key"])
    )
    return Status.QUEUED
