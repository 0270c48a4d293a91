"""Dispatches jobs that are requested by hand, past the triggers of the rails."""

import msgspec

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
from stitcherd.store.limits import LimitsReached
from stitcherd.store.store import Store


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
        self,
        *,
        job_type: str,
        prompt: str,
        repository: str | None,
        ref: str | None,
        agent_task_id: str | None,
        workspace: str,
        priority: int,
        metadata: dict[str, object],
        idempotency_key: str | None,
        actor: str,
    ) -> tuple[RunnerJob, bool]:
        """Store a manually dispatched job; return it, and whether it is new. Raises Refusal, StorageUnavailable."""
        request = {
            "type": job_type,
            "prompt": prompt,
            "repository": repository,
            "ref": ref,
            "agent_task_id": agent_task_id,
            "workspace": workspace,
            "priority": priority,
            "metadata": metadata,
        }
        entry = self._settings.repository(repository) if repository else None
        try:
            evaluation = self._evaluator.evaluate_dispatch(
                DispatchRequest(job_type, actor), repository, workspace, self._rails.current
            )
        except UnknownJobType as unknown:
            raise Refusal("invalid", f"type: {unknown}") from unknown
        decision, type_ = evaluation.decision, evaluation.job
        if type_ is None:
            remedy = decision.remedy.text if decision.remedy else None
            raise Refusal("denied", decision.reason, remedy, more={"decision": msgspec.to_builtins(decision)})
        job = jobs.NewJob(
            id=new_id(),
            workspace=workspace,
            type=job_type,
            profile=type_.profile.name,
            executor=type_.profile.executor,
            priority=priority,
            repository=repository,
            ref=ref or (entry.base if entry else None),
            thread=None,
            prompt=prompt or " ".join(filter(None, (job_type, repository))),
            metadata=metadata,
            tries_max=type_.tries,
            on_interrupt=type_.on_interrupt,
            rails_digest=decision.rails_digest or "",
            actor=actor,
            origin={"dispatch": job_type},
            agent_task_id=agent_task_id,
            idempotency_key=idempotency_key,
            request_sha256=signatures.sha256(msgspec.json.encode(request, order="sorted")),
            limits=limits.job_limits(evaluation.limits, workspace, actor, repository),
        )
        now = now_ms()
        stored = await self._store.write(jobs.dispatch, job, decision, now)
        if isinstance(stored, LimitsReached):
            throttled = limits.apply_uses(decision, job.limits, stored.uses)
            more = {"decision": msgspec.to_builtins(throttled)}
            retry_after = limits.retry_after(stored.uses, now)
            raise Refusal("throttled", throttled.reason, retry_after=retry_after, more=more)
        if stored[1]:
            self._queue.put_job(stored[0])
        return stored
