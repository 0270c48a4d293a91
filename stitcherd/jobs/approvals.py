"""Approvals: what waits for one is approved, denied, decided again under newer rails, or given up in time."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from functools import partial

from shared.ids import now_ms, short_id
from shared.models import RunnerJob, Verdict
from stitcherd.errors import Refusal
from stitcherd.jobs.evaluator import Evaluator, SourceGone
from stitcherd.policy import ApprovalRequest
from stitcherd.rails import approvals as rails_approvals
from stitcherd.rails.compiled import CompiledRails
from stitcherd.rails.live import LiveRails
from stitcherd.sources import NotJson, WrongShape
from stitcherd.sources.trigger import Command, Trigger
from stitcherd.store import approvals, deliveries, transitions
from stitcherd.store.sqlite import Store
from stitcherd.store.writer import StorageUnavailable

EXPIRY_INTERVAL_SECONDS = 10.0  # between two looks at whose time is over

log = logging.getLogger(__name__)


class Approvals:
    """Moves waiting jobs; `put` queues one that was approved. Who may use the API is for the API to say."""

    def __init__(self, store: Store, rails: LiveRails, judge: Evaluator, put: Callable[[RunnerJob], None]) -> None:
        self._store = store
        self._rails = rails
        self._judge = judge
        self._put = put

    async def approve(self, job_id: str, actor: str, reason: str | None) -> RunnerJob:
        """Queue a waiting job.

        Raises Refusal unless it waits, and where the rails have changed: then it waits under today's, if they ask
        too, or is queued or cancelled as they say.
        """
        job, terms = await self._store.write(approvals.find_waiting, job_id)
        rulebook = self._rails.current
        if _is_stale(terms, rulebook):
            return await self._renew(job, terms, rulebook)
        job = await self._store.write(approvals.approve, job_id, actor, reason, now_ms(), terms)
        self._put(job)
        return job

    async def deny(self, job_id: str, actor: str, reason: str) -> RunnerJob:
        """Cancel a waiting job; raises Refusal unless it waits."""
        return await self._store.write(transitions.deny, job_id, actor, reason, now_ms())

    async def answer(
        self, command: Command, trigger: Trigger, rulebook: CompiledRails, new: deliveries.NewDelivery
    ) -> deliveries.RecordedDelivery:
        """Store a comment that approves or denies what waits on its thread, and do as it says where it may.

        A job that was asked for under other rails is first decided again; it then takes another comment.
        """
        renewed: set[str] = set()
        if command.verb != rails_approvals.DENY and trigger.repository is not None and trigger.thread is not None:
            place = (new.workspace, trigger.repository, trigger.thread, trigger.source)
            for job, terms in await self._store.write(approvals.waiting_on_thread, *place):
                if _is_stale(terms, rulebook):
                    renewed.add(job.id)
                    with contextlib.suppress(Refusal):  # the answer to this comment says it
                        await self._renew(job, terms, rulebook)
        rule = partial(
            rails_approvals.decide_approval, command, trigger, rulebook, now=new.received_at, renewed=frozenset(renewed)
        )
        recorded = await self._store.write(deliveries.record_answer, new, rule)
        if recorded.verdict is Verdict.ALLOWED and recorded.job is not None and command.verb != rails_approvals.DENY:
            self._put(recorded.job)
        return recorded

    async def expiring(self) -> None:
        """Give up what was not approved in time, for ever; what an earlier daemon left is looked at first."""
        while True:
            try:
                for job in await self._store.write(approvals.expire, now_ms()):
                    log.info("job %s: nobody approved it in time", short_id(job.id))
            except StorageUnavailable as fault:
                log.warning("jobs whose approval expired cannot be looked up (%s); trying again", fault)
            await asyncio.sleep(EXPIRY_INTERVAL_SECONDS)

    async def _renew(self, job: RunnerJob, terms: ApprovalRequest, rulebook: CompiledRails | None) -> RunnerJob:
        """Decide a waiting job again under the rails in force; returns it where they ask nobody and it was queued.

        Raises Refusal where it waits under them now, where they cancelled it, and where they cannot decide.
        """
        if rulebook is None or rulebook.mode == "observe" or job.delivery_id is None:
            raise Refusal("conflict", f"job {short_id(job.id)} waits until rails are in force that run jobs")
        async with self._store.reading() as db:
            delivery = await deliveries.get_delivery(db, job.delivery_id, None)
            body = await deliveries.get_body(db, job.delivery_id, None)
        try:
            _, trigger, ruling = self._judge.reevaluate(delivery, body, rulebook)
        except (SourceGone, NotJson, WrongShape) as fault:
            raise Refusal(
                "conflict", f"job {short_id(job.id)} cannot be decided under today's rails: {fault}"
            ) from fault
        changed = f"the rails changed from {terms.rails} to {rulebook.revision}"
        if ruling.job is None or ruling.job.name != job.type:
            why = f"{changed}: {ruling.decision.reason}"
            await self._store.write(transitions.cancel, job.id, approvals.RAILS_ACTOR, why, now_ms())
            raise Refusal("conflict", f"job {short_id(job.id)} was cancelled: {why}")
        new = approvals.Reevaluation(
            profile=ruling.job.profile.name,
            executor=ruling.job.profile.executor,
            tries=ruling.job.tries,
            on_interrupt=ruling.job.on_interrupt,
            rails=rulebook.revision,
            decision=ruling.decision,
            terms=rails_approvals.approval_request(ruling, trigger, now_ms(), terms),
        )
        job = await self._store.write(approvals.replace_request, job.id, terms, new, now_ms())
        if new.terms is not None:
            hint = "look at what it would do under them, then approve it again"
            raise Refusal("conflict", f"{changed}, and job {short_id(job.id)} waits under the new ones", hint)
        self._put(job)
        return job


def _is_stale(terms: ApprovalRequest, rulebook: CompiledRails | None) -> bool:
    return "rails" in terms.pins and (rulebook is None or rulebook.revision != terms.rails)
