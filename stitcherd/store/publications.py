"""Publications: a commit that an attempt pushes is recorded before the push, and cannot be cancelled from then on."""

from msgspec import Struct

from shared.models import Failure, Result, RunnerJob, Status, StepStatus
from stitcherd.store import rows
from stitcherd.store.db import Db, Reader
from stitcherd.store.in_force import in_force
from stitcherd.store.queries import fetch_all
from stitcherd.store.steps import Fence, check_fence, end_open_steps
from stitcherd.store.transitions import conclude, find_job_row, is_running


class UnfinishedPublication(Struct, frozen=True):
    """A running job that was about to be published, and its result if the push succeeded; `base` is its start."""

    job: RunnerJob
    result: Result
    base: str | None


class OtherRails(Exception):
    """The rails in force are not those that a job was last decided under, so its commit must not be pushed."""


def begin_publication(db: Db, fence: Fence, result: Result, now: int, rails_digest: str | None) -> bool:
    """Record that the commit of a result is about to be pushed; return False where a cancel was acknowledged before.

    `rails_digest` is that of the rails in force, None without any. Raises Superseded, OtherRails.
    """
    check_fence(db, fence)
    job = find_job_row(db, fence.job_id)
    if job["cancel_requested"]:
        return False
    if job["decided_under"] != rails_digest or in_force(db) not in {None, rails_digest}:
        raise OtherRails("the rails changed before it was published")
    db.execute(
        "INSERT INTO publications (job, attempt, at, result, active) VALUES (?, ?, ?, ?, 1)"
        " ON CONFLICT (job, attempt) DO UPDATE SET result = excluded.result, active = 1",
        (fence.key, fence.attempt, now, rows.encode(result)),
    )
    return True


async def published_commits(db: Reader, key: int) -> tuple[str, ...]:
    """Return the commits that the attempts of a job, by its integer key, set out to publish."""
    found = await fetch_all(db, "SELECT result FROM publications WHERE job = ?", [key])
    results = [rows.result(row["result"]) for row in found]
    return tuple(result.commit for result in results if result is not None and result.commit is not None)


async def find_unfinished(db: Reader, job_id: str) -> UnfinishedPublication | None:
    """Return the publication that a running job began in its attempt, None where it began none."""
    found = await fetch_all(
        db,
        "SELECT j.*, p.result,"
        " (SELECT s.base FROM starts s WHERE s.job = j.key AND s.attempt = j.attempt LIMIT 1) AS base"
        " FROM jobs j JOIN publications p ON p.job = j.key AND p.attempt = j.attempt"
        " WHERE j.id = ? AND j.status = 'RUNNING' AND p.active = 1",
        [job_id],
    )
    result = rows.result(found[0]["result"]) if found else None
    return None if result is None else UnfinishedPublication(rows.job(found[0]), result, found[0]["base"])


async def publishing_jobs(db: Reader) -> frozenset[str]:
    """Return the ids of the jobs whose commit is being pushed."""
    found = await fetch_all(
        db,
        "SELECT j.id FROM jobs j CROSS JOIN publications p ON p.job = j.key AND p.attempt = j.attempt"
        " WHERE j.status = 'RUNNING' AND p.active = 1",
        [],
    )
    return frozenset(row["id"] for row in found)


def conclude_unfinished(
    db: Db, job_id: str, fence: tuple[int, str], outcome: Result | Failure, now: int
) -> Status | None:
    """End a running job that was adopted from who was publishing it; a result says that its commit was published.

    Return its new status, None where the fence does not hold.
    """
    job = find_job_row(db, job_id)
    if not is_running(job, fence):
        return None
    if isinstance(outcome, Result):
        end_open_steps(db, job, now, "it was published before the daemon stopped", StepStatus.COMPLETED)
    return conclude(db, job_id, fence, now, outcome)


def abandon_publication(db: Db, job_id: str, fence: tuple[int, str]) -> None:
    """Record that the push of a running job is over and did not arrive, so that the job can be cancelled again."""
    job = find_job_row(db, job_id)
    if not is_running(job, fence):
        return
    db.execute("UPDATE publications SET active = 0 WHERE job = ? AND attempt = ?", (job["key"], job["attempt"]))
