"""A comment that approves or denies a waiting job: the delivery and the move that it makes, in one transaction."""

import sqlite3
from collections.abc import Callable

from msgspec import Struct

from shared.models import Decision, RunnerJob
from stitcherd.store import approvals, moves
from stitcherd.store.approvals import Terms
from stitcherd.store.entries import NewDelivery, Recorded, find_repeated, record


class Answered(Struct, frozen=True):
    """What is made of a comment; where it is allowed, the id of the job that it approves, or denies for a reason."""

    decision: Decision
    job: str | None = None
    approves: bool = False
    reason: str | None = None


def answer(
    db: sqlite3.Connection, new: NewDelivery, rule: Callable[[list[tuple[RunnerJob, Terms]]], Answered]
) -> Recorded:
    """Store a delivery that answers for jobs waiting on its thread, and do what `rule` makes of it; once only."""
    if new.replay_of is None:
        repeated = find_repeated(db, new.source, new.external_id, new.body_sha256, new.seen_since, new.same_body_since)
        if repeated is not None:
            return repeated
    waiting: list[tuple[RunnerJob, Terms]] = []
    if new.repository is not None and new.thread is not None:
        waiting = approvals.on_thread(db, new.workspace, new.repository, new.thread, new.source)
    answered = rule(waiting)
    decision = answered.decision
    moved: RunnerJob | None = None
    if answered.job is not None and answered.approves:
        moved = approvals.approve(db, answered.job, new.actor, answered.reason, new.received_at)
    elif answered.job is not None:
        moved = moves.deny(db, answered.job, new.actor, answered.reason or decision.reason, new.received_at)
    record(db, new, decision, decision.verdict, decision.reason, moved.id if moved else None)
    return Recorded(new.id, decision.verdict, decision.reason, moved)
