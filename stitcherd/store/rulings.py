"""Rulings: what changed rails decide about a job, applied before it starts, or before its commit is published."""

import sqlite3
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from shared.models import Decision, RunnerJob, Status
from stitcherd.policy import ApprovalRequest
from stitcherd.store import transitions
from stitcherd.store.approvals import RAILS_ACTOR, Reevaluation, decode_approval, save_request
from stitcherd.store.decisions import add_decision


class RailsChanged(Struct, frozen=True):
    """A job was not started: the rails in force are not those that it was last decided under."""

    job: RunnerJob


class Denial(Struct, frozen=True):
    """The decision that denies a job; `reason` also says what changed."""

    decision: Decision
    reason: str


class Ruling(Struct, frozen=True):
    """What the rails in force decide about a queued job as it was at `version`; it waits where there is a request."""

    version: int
    found: Reevaluation | Denial


def apply_ruling(db: sqlite3.Connection, job: sqlite3.Row, ruling: Ruling, now: int) -> None:
    """Apply a ruling to a queued job: cancel it, let it wait for an approval, or leave it queued.

    A job that was denied is asked again when it is retried.
    """
    found, decision = ruling.found, add_decision(db, ruling.found.decision)
    if isinstance(found, Denial):
        ended = {"cancelled_by": RAILS_ACTOR, "cancel_reason": found.reason, "completed_at": now}
        changes = {**ended, "decided_under": None, "decision": decision}
        _unqueue(db, job, Status.CANCELLED, ("job.denied", {"reason": found.reason}), changes, now)
        return
    changes = {**found.columns(), "decision": decision}
    if found.request is None:
        db.execute(
            "UPDATE jobs SET profile = :profile, executor = :executor, tries_max = :tries_max,"
            " on_interrupt = :on_interrupt, rails_digest = :rails_digest, decided_under = :decided_under,"
            " decision = :decision, version = version + 1 WHERE key = :key",
            {**changes, "key": job["key"]},
        )
        return
    save_request(db, job["key"], found.request)
    event = ("job.waiting", found.request.payload(found.reason))
    _unqueue(db, job, Status.PENDING, event, {**changes, "queued_at": None}, now)


def requeue_commit(
    db: sqlite3.Connection, job_id: str, fence: tuple[int, str], now: int, kept: ApprovalRequest
) -> Status | None:
    """Requeue a running job, in the same attempt, whose commit was not published because the rails had changed.

    The commit is kept like one that was approved: once the job is claimed again, it is judged again and published. A
    guard's approval is kept with it. Return the job's new status, None where the fence does not hold.
    """
    job = transitions.find_job_row(db, job_id)
    if job["cancel_requested"]:
        return transitions.end_cancelled(db, job_id, now, fence)
    held = "the rails changed before it was published: it is decided again"
    row = transitions.advance(
        db,
        job_id,
        came_from=(Status.RUNNING,),
        to=Status.QUEUED,
        events=(("job.queued", {"attempt": job["attempt"], "held": held}),),
        actor=transitions.DAEMON_ACTOR,
        now=now,
        fence=fence,
        changes={"owner": None, "queued_at": now, "held": held},
    )
    if row is None:
        return None
    given = db.execute("SELECT * FROM approvals WHERE job = ? AND approved_by IS NOT NULL", (job["key"],)).fetchone()
    earlier, approved_by = decode_approval(given), RAILS_ACTOR
    kept = replace(kept, judged_under=job["decided_under"])
    if earlier is not None and earlier.commit is None:
        names = ("attempt", "commit", "base", "judged_by", "judged_under")
        kept = replace(earlier, **{name: getattr(kept, name) for name in names})
        approved_by = given["approved_by"]
    save_request(db, job["key"], kept)
    db.execute("UPDATE approvals SET approved_by = ? WHERE job = ?", (approved_by, job["key"]))
    return Status.QUEUED


def _unqueue(
    db: sqlite3.Connection,
    job: sqlite3.Row,
    to: Status,
    event: tuple[str, dict[str, Any]],
    changes: dict[str, Any],
    now: int,
) -> None:
    transitions.advance(
        db,
        job["id"],
        came_from=(Status.QUEUED,),
        to=to,
        events=(event,),
        actor=RAILS_ACTOR,
        now=now,
        changes={**changes, "held": None},
    )
