"""Rulings: what changed rails decide about a job, applied before it starts."""

from typing import Any

from msgspec import Struct

from shared.models import Decision, RunnerJob, Status
from stitcherd.store import transitions
from stitcherd.store.approvals import RAILS_ACTOR, Reevaluation, save_request
from stitcherd.store.db import Db, Row
from stitcherd.store.decisions import add_decision, forget_decisions


class RailsChanged(Struct, frozen=True):
    """A job was not started: the rails in force are not those that it was last decided under."""

    job: RunnerJob


class Denial(Struct, frozen=True):
    """The decision that denies a job; `reason` also says what changed."""

    decision: Decision
    reason: str


class Undecided(Struct, frozen=True):
    """Why the rails with this digest cannot decide about a job as it was at `version` yet: it stays queued."""

    version: int
    rails_digest: str
    reason: str


class Ruling(Struct, frozen=True):
    """What the rails in force decide about a queued job as it was at `version`; it waits where there is a request."""

    version: int
    found: Reevaluation | Denial

    @property
    def rails_digest(self) -> str | None:
        """The digest of the rails that decided."""
        return self.found.decision.rails_digest


def apply_ruling(db: Db, job: Row, ruling: Ruling, now: int) -> None:
    """Apply a ruling to a queued job: cancel it, let it wait for an approval, or leave it queued.

    A job that was denied is asked again when it is retried.
    """
    found, decision = ruling.found, add_decision(db, ruling.found.decision)
    if isinstance(found, Denial):
        _deny(db, job, found, decision, now)
    else:
        _allow(db, job, found, decision, now)
    forget_decisions(db, [job["decision"]])


def _deny(db: Db, job: Row, found: Denial, decision: int, now: int) -> None:
    ended = {"cancelled_by": RAILS_ACTOR, "cancel_reason": found.reason, "completed_at": now}
    changes = {**ended, "decided_under": None, "decision": decision}
    _unqueue(db, job, Status.CANCELLED, ("job.denied", {"reason": found.reason}), changes, now)


def _allow(db: Db, job: Row, found: Reevaluation, decision: int, now: int) -> None:
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


def _unqueue(
    db: Db,
    job: Row,
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
