"""Decides stored deliveries again under other rails and reports what would change; stores and runs nothing."""

import asyncio
from collections import Counter
from typing import Literal

from msgspec import Struct

from shared.api import SimulationChange, SimulationResult
from shared.models import Decision, Delivery, Verdict
from stitcherd.jobs.evaluator import Evaluator, SourceGone
from stitcherd.rails.compiled import CompiledRails
from stitcherd.sources import NotJson, WrongShape
from stitcherd.store import deliveries
from stitcherd.store.sqlite import Store

SIMULATION_CHUNK = 16  # deliveries decided at once: about two milliseconds in which the event loop does nothing else
CHUNK_PAUSE_SECONDS = 0.002


class SimulationScope(Struct, frozen=True):
    """Which deliveries to decide: the newest `limit`, received at `since` (ms) or later, of one workspace or of all."""

    limit: int
    since: int = 0
    workspace: str | None = None


async def simulate(
    store: Store, evaluator: Evaluator, rails: CompiledRails, scope: SimulationScope
) -> SimulationResult:
    """Decide stored deliveries again, newest first, in chunks between which the daemon does its other work.

    Limits count what has happened until now and not until the delivery came, so they are left out: a throttled
    delivery counts as allowed, before and after.
    """
    changes: list[SimulationChange] = []
    skipped: Counter[Literal["bodyGone", "sourceGone", "unreadable"]] = Counter()
    before, remaining, decided = None, scope.limit, 0
    while remaining > 0:
        async with store.reading() as db:
            chunk = await deliveries.decided_deliveries(
                db, scope.workspace, scope.since, before, min(remaining, SIMULATION_CHUNK)
            )
        if not chunk:
            break
        for key, delivery, body, decision in chunk:
            before, remaining = key, remaining - 1
            if body is None:
                skipped["bodyGone"] += 1
                continue
            try:
                _, _, evaluation = evaluator.reevaluate(delivery, body, rails)
            except SourceGone:
                skipped["sourceGone"] += 1
            except (NotJson, WrongShape):
                skipped["unreadable"] += 1
            else:
                decided += 1
                verdict = decision.verdict if decision is not None else delivery.verdict
                if _without_limits(verdict) is not _without_limits(evaluation.decision.verdict):
                    changes.append(_change(delivery, verdict, evaluation.decision))
        await asyncio.sleep(CHUNK_PAUSE_SECONDS)
    counts = Counter(f"{change.before}→{change.after}" for change in changes)
    return SimulationResult(rails.revision, rails.warnings, decided, tuple(changes), dict(counts), dict(skipped))


def _without_limits(verdict: Verdict) -> Verdict:
    return Verdict.ALLOWED if verdict is Verdict.THROTTLED else verdict


def _change(delivery: Delivery, before: Verdict, decision: Decision) -> SimulationChange:
    return SimulationChange(
        delivery_id=delivery.id,
        before=before,
        after=decision.verdict,
        decision=decision,
        received_at=delivery.received_at,
        event=delivery.event,
        action=delivery.action,
        sender=delivery.sender,
        repository=delivery.repository,
        thread=delivery.thread,
    )
