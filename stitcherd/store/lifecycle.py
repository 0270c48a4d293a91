"""The life cycle of a job: the table of transitions, how a cancelled job is recorded, and what is refused."""

from typing import Any

from shared.ids import short_id
from shared.models import Status
from shared.output import last_line
from stitcherd.errors import Refusal
from stitcherd.store.db import Row

NEXT: dict[Status | None, frozenset[Status]] = {
    None: frozenset({Status.PENDING, Status.QUEUED}),
    Status.PENDING: frozenset({Status.QUEUED, Status.CANCELLED}),
    Status.QUEUED: frozenset({Status.PENDING, Status.RUNNING, Status.CANCELLED}),
    Status.RUNNING: frozenset({Status.PENDING, Status.QUEUED, Status.COMPLETED, Status.FAILED, Status.CANCELLED}),
    Status.COMPLETED: frozenset(),
    Status.FAILED: frozenset({Status.QUEUED}),
    Status.CANCELLED: frozenset({Status.QUEUED}),
}


class IllegalTransition(Exception):
    """A transition that is not in the table: a bug of this program, never an error of a user."""


def check_transition(before: Status | None, after: Status) -> None:
    """Raise IllegalTransition unless `after` may follow `before`."""
    if after not in NEXT[before]:
        raise IllegalTransition(f"{before} -> {after}")


def diagram() -> str:
    """Return the table as lines like `QUEUED -> RUNNING | CANCELLED`, in the order of Status."""
    order = list(Status)
    rows = []
    for before, after in NEXT.items():
        names = [str(status) for status in order if status in after]
        rows.append(f"{before or '(new)'} -> {' | '.join(names) or '(the end)'}")
    return "\n".join(rows)


def cancellation(actor: str, reason: str | None, now: int) -> dict[str, Any]:
    """Return the columns of a job that somebody cancelled or denied, for a reason; `now` is in milliseconds."""
    told = " ".join(f"by {actor}{f': {reason}' if reason else ''}".split())
    return {"cancelled_by": actor, "cancel_reason": reason, "completed_at": now, "last_line": last_line(told)}


def not_waiting(job: Row) -> Refusal:
    """Return the refusal to approve or deny a job that does not wait for an approval."""
    hint = "only PENDING jobs wait for an approval"
    return Refusal("not_waiting", f"job {short_id(job['id'])} is {job['status']}", hint)


def no_such_job(job_id: str) -> Refusal:
    """Return the refusal for an id that no job has."""
    return Refusal("not_found", f"there is no job {job_id}")
