"""Transitions of a job: each is one guarded UPDATE and its events; nothing else sets a job's status.

Every function runs in a transaction of the writer. A transition that lost a race changes nothing and returns None.
"""

from typing import Any

from shared.ids import short_id
from shared.models import Failure, Result, RunnerJob, Status
from stitcherd.errors import Refusal
from stitcherd.store import lifecycle, rows
from stitcherd.store.counting import COLUMN_OF_STATUS, count_end
from stitcherd.store.daemons import name_and_state_id
from stitcherd.store.db import Db, Row
from stitcherd.store.events import add_events, new_event
from stitcherd.store.steps import Fence, end_open_steps, failed_gate_line

DAEMON_ACTOR = "stitcherd"
CANCELLABLE = (Status.PENDING, Status.QUEUED)


def advance(
    db: Db,
    job_id: str,
    *,
    came_from: tuple[Status, ...],
    to: Status,
    events: tuple[tuple[str, dict[str, Any]], ...],
    actor: str,
    now: int,
    fence: tuple[int, str] | None = None,
    changes: dict[str, Any] | None = None,
) -> Row | None:
    """Move a job to another status if it still has one of `came_from`, and record the events; return its new row.

    `fence` is the attempt and the owner that a running job must still have. Once a cancel was acknowledged, a
    running job can only become CANCELLED. Raises lifecycle.IllegalTransition for a transition not in the table.
    """
    for before in came_from:
        lifecycle.check_transition(before, to)
    told = {"last_event": events[-1][0], "current_step": None, "last_line": None}
    assignments = {"status": to, **told, **(changes or {})}
    guards = ["id = ?", f"status IN ({', '.join('?' * len(came_from))})"]
    values: list[Any] = [job_id, *came_from]
    if fence is not None:
        guards.append("attempt = ? AND owner = ?")
        values += fence
    if Status.RUNNING in came_from and to is not Status.CANCELLED:
        guards.append("cancel_requested = 0")
    row: Row | None = db.execute(
        f"UPDATE jobs SET {', '.join(f'{name} = ?' for name in assignments)}, version = version + 1"
        f" WHERE {' AND '.join(guards)} RETURNING *",
        [*assignments.values(), *values],
    ).fetchone()
    if row is not None:
        about = {"job": (row["key"], job_id), "workspace": row["workspace"]}
        add_events(db, *(new_event(type_, actor=actor, now=now, payload=payload, **about) for type_, payload in events))
        if to in COLUMN_OF_STATUS:
            count_end(db, row, now)
    return row


def start(db: Db, job_id: str, attempt: int, owner: str, now: int) -> tuple[RunnerJob, Fence] | None:
    """Start a queued job for `owner`; None where it is not queued, or not in this attempt."""
    if find_job_row(db, job_id)["attempt"] != attempt:
        return None
    worker, state_id = name_and_state_id(db, owner)
    row = advance(
        db,
        job_id,
        came_from=(Status.QUEUED,),
        to=Status.RUNNING,
        events=(("job.started", {"attempt": attempt}),),
        actor=DAEMON_ACTOR,
        now=now,
        changes={"owner": owner, "worker": worker, "state_id": state_id, "started_at": now},
    )
    return None if row is None else (rows.job(row), Fence(job_id, row["key"], row["workspace"], attempt, owner))


def set_held_reason(db: Db, job: Row, reason: str | None, now: int, until: int | None = None) -> None:
    """Store why a queued job was not started (until a time in ms), and record an event where the reason is another one.

    None clears the reason and records nothing.
    """
    if until is not None:
        db.execute("UPDATE jobs SET held_until = ? WHERE key = ?", (until, job["key"]))
    if reason == job["held"]:
        return
    db.execute("UPDATE jobs SET held = ?, version = version + 1 WHERE key = ?", (reason, job["key"]))
    if reason is not None:
        payload = {"attempt": job["attempt"], "held": reason}
        about = {"job": (job["key"], job["id"]), "workspace": job["workspace"]}
        add_events(db, new_event("job.queued", actor=DAEMON_ACTOR, now=now, payload=payload, **about))


def conclude(
    db: Db,
    job_id: str,
    fence: tuple[int, str],
    now: int,
    outcome: Failure | Result,
) -> Status | None:
    """End a running job: COMPLETED with a result, FAILED with a failure, CANCELLED where a cancel was acknowledged.

    Returns its new status, or None where the job no longer belongs to this attempt and owner.
    """
    before = find_job_row(db, job_id)
    if before["cancel_requested"]:
        return end_cancelled(db, job_id, now, fence)
    if not is_running(before, fence):
        return None
    changes: dict[str, Any] = {"owner": None, "completed_at": now, "error": None}
    if isinstance(outcome, Failure):
        end_open_steps(db, before, now, outcome.code)
        changes |= {"error": rows.encode(outcome), "last_line": failed_gate_line(db, before, outcome)}
    else:
        changes["last_line"] = outcome.summary.partition("\n")[0] or None
    to = Status.FAILED if isinstance(outcome, Failure) else Status.COMPLETED
    row = advance(
        db,
        job_id,
        came_from=(Status.RUNNING,),
        to=to,
        events=((f"job.{to.lower()}", rows.to_payload(outcome)),),
        actor=DAEMON_ACTOR,
        now=now,
        fence=fence,
        changes=changes,
    )
    if row is None:
        return None
    if isinstance(outcome, Result):
        db.execute("UPDATE job_texts SET result = ? WHERE job = ?", (rows.encode(outcome), row["key"]))
    return to


def end_cancelled(db: Db, job_id: str, now: int, fence: tuple[int, str] | None = None) -> Status | None:
    """End a running job whose cancel was acknowledged, attributed to the actor who requested it."""
    before = find_job_row(db, job_id)
    if not is_running(before, fence):
        return None
    end_open_steps(db, before, now, "cancelled")
    actor = before["cancelled_by"] or DAEMON_ACTOR
    row = advance(
        db,
        job_id,
        came_from=(Status.RUNNING,),
        to=Status.CANCELLED,
        events=(("job.cancelled", {"reason": before["cancel_reason"]}),),
        actor=actor,
        now=now,
        fence=fence,
        changes={"owner": None, **lifecycle.cancellation(actor, before["cancel_reason"], now)},
    )
    return None if row is None else Status.CANCELLED


def cancel(db: Db, job_id: str, actor: str, reason: str | None, now: int) -> RunnerJob:
    """Cancel a job that does not run at once, or request that a running one ends.

    Only the first request counts: a later one changes neither actor nor reason. Raises Refusal for a job that has
    ended, or whose commit is being published: the push may have arrived before it could be stopped.
    """
    row = advance(
        db,
        job_id,
        came_from=CANCELLABLE,
        to=Status.CANCELLED,
        events=(("job.cancelled", {"reason": reason}),),
        actor=actor,
        now=now,
        changes={"cancel_requested": 1, **lifecycle.cancellation(actor, reason, now)},
    )
    if row is None:
        db.execute(
            "UPDATE jobs SET cancel_requested = 1, cancelled_by = ?, cancel_reason = ?, version = version + 1"
            " WHERE id = ? AND status = 'RUNNING' AND cancel_requested = 0 AND NOT EXISTS"
            " (SELECT 1 FROM publications p WHERE p.job = jobs.key AND p.attempt = jobs.attempt AND p.active = 1)",
            (actor, reason, job_id),
        )
        row = find_job_row(db, job_id)
        if row["status"] != Status.RUNNING or not row["cancel_requested"]:
            state = "being published" if row["status"] == Status.RUNNING else row["status"]
            raise Refusal("not_cancellable", f"job {short_id(job_id)} is {state}")
    return rows.job(row)


def queue_approved(db: Db, job_id: str, actor: str, reason: str | None, now: int) -> RunnerJob:
    """Queue a job that waits for an approval; raise Refusal unless it waits.

    The caller checks that what was approved is what the job would do.
    """
    events = (("job.approved", {"reason": reason}), ("job.queued", {"attempt": find_job_row(db, job_id)["attempt"]}))
    return _end_waiting(db, job_id, Status.QUEUED, events, actor, now, {"queued_at": now})


def deny(db: Db, job_id: str, actor: str, reason: str, now: int) -> RunnerJob:
    """Cancel a job that waits for an approval, attributed to the actor who denied it; raise Refusal unless it waits."""
    changes = lifecycle.cancellation(actor, reason, now)
    return _end_waiting(db, job_id, Status.CANCELLED, (("job.denied", {"reason": reason}),), actor, now, changes)


def wait_for_approval(db: Db, job_id: str, fence: tuple[int, str], payload: dict[str, Any], now: int) -> Status | None:
    """Park a running job until its commit is approved; return its new status, None where the fence does not hold."""
    if find_job_row(db, job_id)["cancel_requested"]:
        return end_cancelled(db, job_id, now, fence)
    row = advance(
        db,
        job_id,
        came_from=(Status.RUNNING,),
        to=Status.PENDING,
        events=(("job.waiting", payload),),
        actor=DAEMON_ACTOR,
        now=now,
        fence=fence,
        changes={"owner": None},
    )
    return None if row is None else Status.PENDING


def update_waiting(db: Db, job_id: str, changes: dict[str, Any], payload: dict[str, Any] | None, now: int) -> Row:
    """Change columns of a job that waits for an approval, and record `job.waiting` where a payload is given.

    Raises Refusal unless it waits.
    """
    row: Row | None = db.execute(
        f"UPDATE jobs SET {', '.join(f'{name} = ?' for name in changes)}, version = version + 1"
        " WHERE id = ? AND status = 'PENDING' RETURNING *",
        [*changes.values(), job_id],
    ).fetchone()
    if row is None:
        raise lifecycle.not_waiting(find_job_row(db, job_id))
    if payload is not None:
        about = {"job": (row["key"], job_id), "workspace": row["workspace"]}
        add_events(db, new_event("job.waiting", actor=DAEMON_ACTOR, now=now, payload=payload, **about))
    return row


def find_job_row(db: Db, job_id: str) -> Row:
    """Return the row of a job by its whole id; raise Refusal if there is none."""
    row: Row | None = db.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
    if row is None:
        raise lifecycle.no_such_job(job_id)
    return row


def is_running(job: Row, fence: tuple[int, str] | None = None) -> bool:
    """Say whether a job runs, and in the attempt and for the owner of the fence where one is given."""
    return job["status"] == Status.RUNNING and fence in {None, (job["attempt"], job["owner"])}


def queue_next_attempt(
    db: Db,
    before: Row,
    came_from: tuple[Status, ...],
    events: tuple[str, ...],
    actor: str,
    now: int,
    held: str | None = None,
    decided_under: str | None = None,
    held_until: int | None = None,
) -> Row | None:
    """Queue the next attempt of a job; return its row, or None where its status has changed meanwhile.

    `decided_under` is the digest of the rails that allow this attempt, None where they are those that allowed the last.
    """
    attempt = before["attempt"] + 1
    payload = {"attempt": attempt} | ({} if held is None else {"held": held})
    reset: dict[str, Any] = {"decided_under": decided_under} if decided_under else {}
    reset |= dict.fromkeys(("owner", "state_id", "error", "usage", "started_at", "completed_at"))
    reset |= dict.fromkeys(("cancelled_by", "cancel_reason"))
    reset |= {"held": held, "held_until": held_until}
    return advance(
        db,
        before["id"],
        came_from=came_from,
        to=Status.QUEUED,
        events=tuple((type_, payload) for type_ in events),
        actor=actor,
        now=now,
        changes={**reset, "attempt": attempt, "tries_used": 0, "cancel_requested": 0, "queued_at": now},
    )


def queue_same_attempt(
    db: Db, job_id: str, fence: tuple[int, str], now: int, held: str, held_until: int | None
) -> Status | None:
    """Queue a running job in its attempt, held (until a time in ms); return its status, None if the fence is lost."""
    job = find_job_row(db, job_id)
    if job["cancel_requested"]:
        return end_cancelled(db, job_id, now, fence)
    row = advance(
        db,
        job_id,
        came_from=(Status.RUNNING,),
        to=Status.QUEUED,
        events=(("job.queued", {"attempt": job["attempt"], "held": held}),),
        actor=DAEMON_ACTOR,
        now=now,
        fence=fence,
        changes={"owner": None, "queued_at": now, "held": held, "held_until": held_until},
    )
    return None if row is None else Status.QUEUED


def _end_waiting(
    db: Db,
    job_id: str,
    to: Status,
    events: tuple[tuple[str, dict[str, Any]], ...],
    actor: str,
    now: int,
    changes: dict[str, Any],
) -> RunnerJob:
    waiting = (Status.PENDING,)
    row = advance(db, job_id, came_from=waiting, to=to, events=events, actor=actor, now=now, changes=changes)
    if row is None:
        raise lifecycle.not_waiting(find_job_row(db, job_id))
    return rows.job(row)
