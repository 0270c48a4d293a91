"""Approvals: what waits for one is approved, denied, decided again under newer rails, or given up in time."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from functools import partial

from shared.ids import now_ms, short
from shared.models import RunnerJob, Verdict
from stitcherd.judge import Judge, SourceGone
from stitcherd.rails import approving
from stitcherd.rails.in_force import RailsInForce
from stitcherd.rails.rulebook import Rulebook
from stitcherd.refusal import Refusal
from stitcherd.sources import NotJson, WrongShape
from stitcherd.store import answering, approvals, entries, moves, reads
from stitcherd.store.approvals import Terms
from stitcherd.store.sqlite import Store
from stitcherd.store.writer import StorageUnavailable
from stitcherd.trigger import Command, Trigger

LOOK_SECONDS = 10.0  # between two looks at whose time is over

log = logging.getLogger(__name__)


class Approvals:
    """Moves waiting jobs; `put` queues one that was approved. Who may use the API is for the API to say."""

    def __init__(self, store: Store, rails: RailsInForce, judge: Judge, put: Callable[[RunnerJob], None]) -> None:
        self._store = store
        self._rails = rails
        self._judge = judge
        self._put = put

    async def approve(self, job_id: str, actor: str, reason: str | None) -> RunnerJob:
        """Queue a waiting job.

        Raises Refusal unless it waits, and where the rails have changed: then it waits under today's, if they ask
        too, or is queued or cancelled as they say.
        """
        job, terms = await self._store.write(approvals.look, job_id)
        rulebook = self._rails.current
        if _stale(terms, rulebook):
            return await self._renew(job, terms, rulebook)
        job = await self._store.write(approvals.approve, job_id, actor, reason, now_ms(), terms)
        self._put(job)
        return job

    async def deny(self, job_id: str, actor: str, reason: str) -> RunnerJob:
        """Cancel a waiting job; raises Refusal unless it waits."""
        return await self._store.write(moves.deny, job_id, actor, reason, now_ms())

    async def answer(
        self, command: Command, trigger: Trigger, rulebook: Rulebook, new: entries.NewDelivery
    ) -> entries.Recorded:
        """Store a comment that approves or denies what waits on its thread, and do as it says where it may.

        A job that was asked for under other rails is first decided again; it then takes another comment.
        """
        renewed: set[str] = set()
        if command.verb != approving.DENY and trigger.repository is not None and trigger.thread is not None:
            place = (new.workspace, trigger.repository, trigger.thread, trigger.source)
            for job, terms in await self._store.write(approvals.on_thread, *place):
                if _stale(terms, rulebook):
                    renewed.add(job.id)
                    with contextlib.suppress(Refusal):  # the answer to this comment says it
                        await self._renew(job, terms, rulebook)
        rule = partial(approving.ruled, command, trigger, rulebook, now=new.received_at, renewed=frozenset(renewed))
        recorded = await self._store.write(answering.answer, new, rule)
        if recorded.verdict is Verdict.ALLOWED and recorded.job is not None and command.verb != approving.DENY:
            self._put(recorded.job)
        return recorded

    async def expiring(self) -> None:
        """Give up what was not approved in time, for ever; what an earlier daemon left is looked at first."""
        while True:
            try:
                for job in await self._store.write(approvals.expire, now_ms()):
                    log.info("job %s: nobody approved it in time", short(job.id))
            except StorageUnavailable as fault:
                log.warning("jobs whose approval expired cannot be looked up (%s); trying again", fault)
            await asyncio.sleep(LOOK_SECONDS)

    async def _renew(self, job: RunnerJob, terms: Terms, rulebook: Rulebook | None) -> RunnerJob:
        """Decide a waiting job again under the rails in force; returns it where they ask nobody and it was queued.

        Raises Refusal where it waits under them now, where they cancelled it, and where they cannot decide.
        """
        if rulebook is None or rulebook.mode == "observe" or job.delivery_id is None:
            raise Refusal("conflict", f"job {short(job.id)} waits until rails are in force that run jobs")
        async with self._store.reading() as db:
            delivery = await reads.delivery(db, job.delivery_id, None)
            body = await reads.delivery_body(db, job.delivery_id, None)
        try:
            _, trigger, ruling = self._judge.rule_again(delivery, body, rulebook)
        except (SourceGone, NotJson, WrongShape) as fault:
            raise Refusal("conflict", f"job {short(job.id)} cannot be decided under today's rails: {fault}") from fault
        changed = f"the rails changed from {terms.rails} to {rulebook.revision}"
        if ruling.job is None or ruling.job.name != job.type:
            why = f"{changed}: {ruling.decision.reason}"
            await self._store.write(moves.cancel, job.id, approvals.RAILS, why, now_ms())
            raise Refusal("conflict", f"job {short(job.id)} was cancelled: {why}")
        new = approvals.Renewal(
            profile=ruling.job.profile.name,
            executor=ruling.job.profile.executor,
            tries=ruling.job.tries,
            on_interrupt=ruling.job.on_interrupt,
            rails=rulebook.revision,
            decision=ruling.decision,
            terms=approving.terms_of(ruling, trigger, now_ms(), terms),
        )
        job = await self._store.write(approvals.renew, job.id, terms, new, now_ms())
        if new.terms is not None:
            hint = "look at what it would do under them, then approve it again"
            raise Refusal("conflict", f"{changed}, and job {short(job.id)} waits under the new ones", hint)
        self._put(job)
        return job


def _stale(terms: Terms, rulebook: Rulebook | None) -> bool:
    return "rails" in terms.pins and (rulebook is None or rulebook.revision != terms.rails)
