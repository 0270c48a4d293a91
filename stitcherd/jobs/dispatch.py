"""Dispatches jobs that are requested by hand, past the triggers of the rails."""

from typing import Any

import msgspec
from msgspec import Struct

from shared.ids import new_id, now_ms
from shared.models import RunnerJob
from stitcherd.config.settings import Settings
from stitcherd.errors import Refusal
from stitcherd.jobs.evaluator import Evaluator
from stitcherd.queue import JobQueue
from stitcherd.rails import limits
from stitcherd.rails.decide import DispatchRequest, UnknownJobType
from stitcherd.rails.live import LiveRails
from stitcherd.sources import signatures
from stitcherd.store import jobs
from stitcherd.store.in_force import RailsReplaced
from stitcherd.store.limits import LimitsReached
from stitcherd.store.store import Store

MAX_DECISIONS = 5  # on one request, while other rails are put in force


class DispatchedJob(Struct, frozen=True):
    """A job that is dispatched by hand; with the same idempotency key it must be the same in all fields."""

    type: str
    prompt: str
    repository: str | None
    ref: str | None
    agent_task_id: str | None
    workspace: str
    priority: int
    metadata: dict[str, Any]


class Dispatcher:
    """Creates jobs on request, as the current rails allow."""

    def __init__(
        self, store: Store, settings: Settings, rails: LiveRails, evaluator: Evaluator, queue: JobQueue
    ) -> None:
        self._store = store
        self._settings = settings
        self._rails = rails
        self._evaluator = evaluator
        self._queue = queue

    async def dispatch(
        self, request: DispatchedJob, *, actor: str, idempotency_key: str | None = None
    ) -> tuple[RunnerJob, bool]:
        """Store a manually dispatched job; return it, and whether it is new. Raises Refusal, StorageUnavailable."""
        for _ in range(MAX_DECISIONS - 1):
            try:
                return await self._dispatch(request, actor, idempotency_key)
            except RailsReplaced:
                await self._rails.follow()
        return await self._dispatch(request, actor, idempotency_key)

    async def _dispatch(
        self, request: DispatchedJob, actor: str, idempotency_key: str | None
    ) -> tuple[RunnerJob, bool]:
        repository, in_force = request.repository, self._rails.in_force
        entry = self._settings.repository(repository) if repository else None
        try:
            evaluation = self._evaluator.evaluate_dispatch(
                DispatchRequest(request.type, actor), repository, request.workspace, self._rails.current
            )
        except UnknownJobType as unknown:
            raise Refusal("invalid", f"type: {unknown}") from unknown
        decision, type_ = evaluation.decision, evaluation.job
        if type_ is None:
            remedy = decision.remedy.text if decision.remedy else None
            raise Refusal("denied", decision.reason, remedy, more={"decision": msgspec.to_builtins(decision)})
        job = jobs.NewJob(
            id=new_id(),
            workspace=request.workspace,
            type=request.type,
            profile=type_.profile.name,
            executor=type_.profile.executor,
            priority=request.priority,
            repository=repository,
            ref=request.ref or (entry.base if entry else None),
            thread=None,
            prompt=request.prompt or " ".join(filter(None, (request.type, repository))),
            metadata=request.metadata,
            tries_max=type_.tries,
            on_interrupt=type_.on_interrupt,
            rails_digest=decision.rails_digest or "",
            actor=actor,
            origin={"dispatch": request.type},
            agent_task_id=request.agent_task_id,
            idempotency_key=idempotency_key,
            request_sha256=signatures.sha256(msgspec.json.encode(request, order="sorted")),
            limits=limits.job_limits(evaluation.limits, request.workspace, actor, repository),
        )
        now = now_ms()
        stored = await self._store.write(jobs.dispatch, job, decision, now, in_force)
        if isinstance(stored, LimitsReached):
            throttled = limits.apply_uses(decision, job.limits, stored.uses)
            more = {"decision": msgspec.to_builtins(throttled)}
            retry_after = limits.retry_after(stored.uses, now)
            raise Refusal("throttled", throttled.reason, retry_after=retry_after, more=more)
        if stored[1]:
            self._queue.put_job(stored[0])
        return stored
