"""The table of transitions: which status of a job may follow which."""

from shared.models import Status

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
