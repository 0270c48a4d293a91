"""What other rails would have said of the deliveries that came in; decides, and stores and runs nothing."""

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

SIMULATION_CHUNK = 16  # deliveries decided in one go: about two milliseconds in which nobody else is served
CHUNK_PAUSE_SECONDS = 0.002


class SimulationScope(Struct, frozen=True):
    """Which deliveries: the newest `limit`, received at `since` (ms) or later, of one workspace or of all."""

    limit: int
    since: int = 0
    workspace: str | None = None


async def simulate(
    store: Store, judge: Evaluator, rulebook: CompiledRails, wanted: SimulationScope
) -> SimulationResult:
    """Decide stored deliveries again, newest first, a few at a time beside the daemon's other work.

    Limits count what has happened since, not what had happened then: a delivery that they would have let wait,
    or did, is taken as allowed.
    """
    changed: list[SimulationChange] = []
    skipped: Counter[Literal["bodyGone", "sourceGone", "unreadable"]] = Counter()
    before, left, decided = None, wanted.limit, 0
    while left > 0:
        async with store.reading() as db:
            chunk = await deliveries.decided_deliveries(
                db, wanted.workspace, wanted.since, before, min(left, SIMULATION_CHUNK)
            )
        if not chunk:
            break
        for key, delivery, body, decision in chunk:
            before, left = key, left - 1
            if body is None:
                skipped["bodyGone"] += 1
                continue
            try:
                _, _, ruling = judge.reevaluate(delivery, body, rulebook)
            except SourceGone:
                skipped["sourceGone"] += 1
            except (NotJson, WrongShape):
                skipped["unreadable"] += 1
            else:
                decided += 1
                then = decision.verdict if decision is not None else delivery.verdict
                if _without_limits(then) is not _without_limits(ruling.decision.verdict):
                    changed.append(_changed_verdict(delivery, then, ruling.decision))
        await asyncio.sleep(CHUNK_PAUSE_SECONDS)
    counts = Counter(f"{each.before}→{each.after}" for each in changed)
    return SimulationResult(rulebook.revision, rulebook.warnings, decided, tuple(changed), dict(counts), dict(skipped))


def _without_limits(verdict: Verdict) -> Verdict:
    return Verdict.ALLOWED if verdict is Verdict.THROTTLED else verdict


def _changed_verdict(delivery: Delivery, before: Verdict, decision: Decision) -> SimulationChange:
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
