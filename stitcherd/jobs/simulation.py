"""Decides stored deliveries again under other rails and reports what would change; stores and runs nothing."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Literal

from msgspec import Struct, field

from shared.api import SimulationChange, SimulationResult
from shared.deliveries import Delivery
from shared.models import Decision, Verdict
from stitcherd.errors import Refusal
from stitcherd.jobs.evaluator import Evaluator, SourceGone
from stitcherd.rails.compiled import CompiledRails
from stitcherd.sources import NotJson, WrongShape
from stitcherd.store import evaluated
from stitcherd.store.store import Store

SIMULATION_CHUNK = 16  # deliveries decided at once: about two milliseconds
CHECKS_MAX = 500_000  # in all decisions of a result: some hundred MB
CHUNK_PAUSE_SECONDS = 0.002  # in which other threads run


class SimulationScope(Struct, frozen=True):
    """Which deliveries to decide: the newest `limit`, received at `since` (ms) or later, of one workspace or of all."""

    limit: int
    since: int = 0
    workspace: str | None = None


class _Result(Struct):
    """What was found so far."""

    changes: list[SimulationChange] = []
    skipped: Counter[Literal["bodyGone", "permissionUnknown", "sourceGone", "unreadable"]] = field(
        default_factory=Counter
    )
    decided: int = 0
    checks: int = 0  # of the decisions in `changes`


async def simulate(
    store: Store,
    evaluator: Evaluator,
    rails: CompiledRails,
    scope: SimulationScope,
    threads: Executor | None = None,
) -> SimulationResult:
    """Decide stored deliveries again, newest first, in `threads` (None: those of the event loop).

    Limits count what has happened until now and not until the delivery came, so they are left out: a throttled
    delivery counts as allowed, before and after. No forge is asked: a delivery that depends on a permission that is not
    known is skipped. Raises Refusal if the result is too large.
    """
    result = _Result()
    before, remaining = None, scope.limit
    while remaining > 0:
        async with store.reading() as db:
            chunk = await evaluated.decided_deliveries(
                db, scope.workspace, scope.since, before, min(remaining, SIMULATION_CHUNK)
            )
        if not chunk:
            break
        before, remaining = chunk[-1][0], remaining - len(chunk)
        await asyncio.get_running_loop().run_in_executor(threads, _decide_again, evaluator, rails, chunk, result)
        await asyncio.sleep(CHUNK_PAUSE_SECONDS)
    counts = Counter(f"{change.before}→{change.after}" for change in result.changes)
    return SimulationResult(
        rails.revision, rails.warnings, result.decided, tuple(result.changes), dict(counts), dict(result.skipped)
    )


def _decide_again(
    evaluator: Evaluator,
    rails: CompiledRails,
    chunk: Sequence[tuple[int, Delivery, bytes | None, Decision | None]],
    result: _Result,
) -> None:
    """Decide some deliveries again and add what changed to the result."""
    for _, delivery, body, decision in chunk:
        if body is None:
            result.skipped["bodyGone"] += 1
            continue
        try:
            _, _, evaluation = evaluator.reevaluate(delivery, body, rails)
        except SourceGone:
            result.skipped["sourceGone"] += 1
        except (NotJson, WrongShape):
            result.skipped["unreadable"] += 1
        else:
            if evaluation.asks:
                result.skipped["permissionUnknown"] += 1
                continue
            result.decided += 1
            verdict = decision.verdict if decision is not None else delivery.verdict
            if _without_limits(verdict) is not _without_limits(evaluation.decision.verdict):
                result.changes.append(_change(delivery, verdict, evaluation.decision))
                result.checks += len(evaluation.decision.checks)
                if result.checks > CHECKS_MAX:
                    raise Refusal("invalid", "too much would change", "simulate fewer deliveries with limit or since")


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
