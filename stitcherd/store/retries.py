"""Retries: a failed or cancelled job is queued again for another attempt."""

from shared.ids import short_id
from shared.models import RunnerJob, Status
from stitcherd.errors import Refusal
from stitcherd.store import rows
from stitcherd.store.db import Db
from stitcherd.store.errors import Conflict
from stitcherd.store.transitions import find_job_row, queue_next_attempt

RETRYABLE = (Status.FAILED, Status.CANCELLED)


def retry(db: Db, job_id: str, actor: str, now: int, in_force: str | None = None) -> RunnerJob:
    """Queue a failed or cancelled job again, under its first decision; raise Refusal for any other status.

    `in_force` is the digest of the rails in force: who retries a job asks for its first decision under these. An
    approval by somebody else is not renewed, and what the rails denied stays denied: such a job is decided again before
    it starts, if the rails changed. A job that was never approved cannot be retried either.
    """
    before = find_job_row(db, job_id)
    approval = db.execute("SELECT approved_by FROM approvals WHERE job = ?", (before["key"],)).fetchone()
    if before["status"] in RETRYABLE and approval is not None and approval["approved_by"] is None:
        raise Refusal(
            "not_retryable", f"job {short_id(job_id)} was never approved", "ask for it again where it was asked"
        )
    renewed = in_force if before["decided_under"] is not None and approval is None else None
    try:
        with db.savepoint():
            row = queue_next_attempt(
                db, before, RETRYABLE, ("job.retried", "job.queued"), actor, now, decided_under=renewed
            )
    except Conflict as error:
        raise Refusal(
            "conflict", f"another {before['type']} job is open on the thread of job {short_id(job_id)}"
        ) from error
    if row is None:
        hint = "only FAILED and CANCELLED jobs can be retried"
        raise Refusal("not_retryable", f"job {short_id(job_id)} is {before['status']}", hint)
    return rows.job(row)
