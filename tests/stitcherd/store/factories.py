"""What is handed to the store, for tests that care about a few of its fields, and helpers that store it."""

from typing import Any

from shared.ids import new_id, now_ms
from shared.models import Decision, RunnerJob, Verdict
from stitcherd.policy import ApprovalRequest, GuardQuestion
from stitcherd.store import deliveries, jobs
from stitcherd.store.approvals import Reevaluation
from stitcherd.store.db import Db
from stitcherd.store.deliveries import NewDelivery
from stitcherd.store.events import add_events, new_event
from stitcherd.store.jobs import NewJob
from stitcherd.store.store import Store

ALLOWED_AGAIN = Decision(Verdict.ALLOWED, "again", "r-r2", "r2")
ALLOWED = Decision(Verdict.ALLOWED, "trigger word", "r1", trigger="word")


def new_job(**more: Any) -> NewJob:
    defaults: dict[str, Any] = {
        "id": new_id(),
        "workspace": "default",
        "type": "fix",
        "profile": "weaver",
        "executor": "agent",
        "priority": 5,
        "repository": None,
        "ref": None,
        "thread": None,
        "prompt": "",
        "metadata": {},
        "tries_max": 2,
        "on_interrupt": "fail",
        "rails_digest": "r1",
        "actor": "uid:0",
        "origin": {},
    }
    return NewJob(**defaults | more)


def new_delivery(**more: Any) -> NewDelivery:
    defaults: dict[str, Any] = {
        "id": new_id(),
        "source": "forge",
        "kind": "github",
        "workspace": "default",
        "external_id": None,
        "received_at": now_ms(),
        "event": "issue_comment",
        "action": "created",
        "trigger": "issue.comment",
        "sender": "forge:ann",
        "repository": "acme/roof",
        "thread": None,
        "body": b"{}",
        "body_sha256": new_id(),
        "secret": 1,
        "headers": {"X-GitHub-Event": "issue_comment"},
        "actor": "source:forge/ann",
        "decision": ALLOWED,
    }
    return NewDelivery(**defaults | more)


def approval_request(**more: Any) -> ApprovalRequest:
    defaults: dict[str, Any] = {
        "guards": (GuardQuestion("stranger", ("chiefs",)), GuardQuestion("big", ("chiefs", "crew"))),
        "source": "forge",
        "asker": "forge:ann",
        "outsiders": ("forge:eve",),
        "by_asker": False,
        "pins": ("rails",),
        "rails_digest": "r1",
        "head_sha": None,
        "text_sha256": "0" * 64,
        "texts": {"title": "1" * 64},
        "expires": "24h",
        "expires_at": now_ms() + 3_600_000,
    }
    return ApprovalRequest(**defaults | more)


async def dispatch(store: Store, job: NewJob, decision: Decision = ALLOWED, now: int | None = None) -> RunnerJob:
    """Store a job that was requested by hand and whose limits are not reached."""
    stored = await store.write(jobs.dispatch, job, decision, now_ms() if now is None else now)
    assert isinstance(stored, tuple)
    return stored[0]


async def deliver(store: Store, delivery: NewDelivery, job: NewJob) -> RunnerJob:
    """Store a delivery with its job, against which nothing stands."""
    stored = await add_delivery(store, delivery, job)
    assert isinstance(stored, deliveries.StoredDelivery)
    async with store.reading() as db:
        return await jobs.get_job(db, job.id, None)


async def add_delivery(store: Store, delivery: NewDelivery, job: NewJob | None = None) -> deliveries.Outcome:
    """Store a delivery, with its job if it has one."""
    return await store.write_item(deliveries.add_deliveries, (delivery, job))


def reevaluation(**more: Any) -> Reevaluation:
    """Return what the rails `r2` decide about a job that `r1` allowed: they allow it."""
    fields: dict[str, Any] = {
        "profile": "careful",
        "executor": "agent",
        "tries_max": 7,
        "on_interrupt": "retry",
        "rails_digest": "r2",
        "decision": ALLOWED_AGAIN,
        "request": None,
        "reason": "the rails changed",
    }
    return Reevaluation(**fields | more)


def note_event(db: Db) -> None:
    """Append an event, as a function for `Store.write`."""
    add_events(db, new_event("rails.reloaded", actor="rails", now=now_ms()))
