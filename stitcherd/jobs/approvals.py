"""Approves and denies waiting jobs, re-evaluates them under newer rails, and cancels what was not approved in time."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping

from msgspec import structs

from shared.ids import now_ms, revision_name, short_id
from shared.models import RunnerJob
from stitcherd.errors import Refusal
from stitcherd.jobs.evaluator import Evaluator, SourceGone
from stitcherd.jobs.permissions import Permissions, PermissionsNeeded
from stitcherd.policy import AccountAccess, ApprovalRequest, CommandResult
from stitcherd.rails import approvals as rails_approvals
from stitcherd.rails.commands import DENY
from stitcherd.rails.compiled import CompiledRails
from stitcherd.rails.live import LiveRails
from stitcherd.rails.requirements import RuntimeFacts
from stitcherd.sources import NotJson, WrongShape
from stitcherd.sources.trigger import Command, Trigger
from stitcherd.store import approvals, commands, deliveries, transitions
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.store import Store

EXPIRY_INTERVAL_SECONDS = 10.0  # between two looks for expired requests
MAX_READS = 4  # of what waits on a thread, while others change it

log = logging.getLogger(__name__)


class Approvals:
    """Moves waiting jobs; `put` queues one that was approved, `now` is in milliseconds.

    Permissions of the API are checked by the API.
    """

    def __init__(
        self,
        store: Store,
        rails: LiveRails,
        evaluator: Evaluator,
        put: Callable[[RunnerJob], None],
        permissions: Permissions | None = None,
        now: Callable[[], int] = now_ms,
    ) -> None:
        self._store = store
        self._rails = rails
        self._evaluator = evaluator
        self._put = put
        self._permissions = permissions
        self._now = now

    async def approve(self, job_id: str, actor: str, reason: str | None) -> RunnerJob:
        """Queue a waiting job.

        Raises Refusal unless it waits, and where the rails have changed since: then it waits under the current ones if
        they require an approval too, or is queued or cancelled as they say.
        """
        async with self._store.reading() as db:
            job, request = await approvals.find_waiting(db, job_id)
        rails = self._rails.current
        if _is_stale(request, rails):
            return await self._reevaluate_asking(job, request, rails)
        job = await self._store.write(approvals.approve, job_id, actor, reason, self._now(), request)
        self._put(job)
        return job

    async def deny(self, job_id: str, actor: str, reason: str) -> RunnerJob:
        """Cancel a waiting job; raises Refusal unless it waits."""
        return await self._store.write(transitions.deny, job_id, actor, reason, self._now())

    async def answer(
        self,
        command: Command,
        trigger: Trigger,
        rails: CompiledRails,
        new: deliveries.NewDelivery,
        facts: RuntimeFacts,
    ) -> tuple[CommandResult, deliveries.Outcome | None]:
        """Store a comment that approves or denies what waits on its thread, and carry it out where that is allowed.

        A job that was requested under other rails is first evaluated again, and then needs another comment. What waits
        is read, the comment decided, and both written only if nothing has changed meanwhile. Where permissions must be
        asked first, it is stored as not decided yet, or left so. Raises AccountTaken.
        """
        reevaluated: set[str] = set()
        for _ in range(MAX_READS):
            waiting = await self._waiting_on_thread(new)
            same_source = [each for each in waiting if each[1].source == trigger.source]
            stale = [each for each in same_source if _is_stale(each[1], rails) and each[0].id not in reevaluated]
            if stale and command.verb != DENY:
                for job, request in stale:
                    try:
                        await self._reevaluate(job, request, rails, facts.access)
                    except PermissionsNeeded as needed:
                        return await store_undecided(
                            self._store, rails_approvals.asking(command, rails, needed.asks, str(needed)), new
                        )
                    except Refusal:  # the decision on this comment tells it
                        pass
                    reevaluated.add(job.id)
                continue
            result = rails_approvals.decide_approval(
                command,
                trigger,
                rails,
                same_source,
                now=new.received_at,
                reevaluated=frozenset(reevaluated),
                facts=facts,
            )
            if result.asks:
                return await store_undecided(self._store, result, new)
            expected = tuple((job.id, job.version) for job, _ in waiting)
            stored = await self._store.write(commands.add_command, new, result, expected)
            if isinstance(stored, commands.ThreadChanged):
                continue
            if isinstance(stored, deliveries.StoredDelivery) and stored.job is not None and result.action == "approve":
                self._put(stored.job)
            return result, stored
        decision = rails_approvals.keeps_changing(command, rails)
        denied = await self._store.write_item(
            deliveries.add_deliveries, (structs.replace(new, decision=decision), None)
        )
        return CommandResult(decision), denied

    async def expire_forever(self) -> None:
        """Cancel jobs that were not approved in time, at the start and then at an interval."""
        while True:
            with contextlib.suppress(StorageUnavailable):  # the store logs it
                await self.expire()
            await asyncio.sleep(EXPIRY_INTERVAL_SECONDS)

    async def expire(self) -> None:
        """Cancel the jobs that were not approved in time. Raises StorageUnavailable."""
        for job in await self._store.write(approvals.expire, self._now()):
            log.info("job %s: not approved in time", short_id(job.id))

    async def _waiting_on_thread(self, new: deliveries.NewDelivery) -> list[tuple[RunnerJob, ApprovalRequest]]:
        if new.repository is None or new.thread is None:
            return []
        async with self._store.reading() as db:
            return await approvals.waiting_on_thread(db, new.workspace, new.repository, new.thread)

    async def _reevaluate_asking(
        self, job: RunnerJob, request: ApprovalRequest, rails: CompiledRails | None
    ) -> RunnerJob:
        """Evaluate a waiting job like `_reevaluate`, and ask the permissions that this needs.

        Raises Refusal also where the forge does not answer.
        """
        refused: dict[str, AccountAccess] = {}
        while True:
            try:
                return await self._reevaluate(job, request, rails, refused)
            except PermissionsNeeded as needed:
                late = await self._permissions.ask_once(needed, refused) if self._permissions else str(needed)
                if late is not None:
                    detail = f"the rails changed, and job {short_id(job.id)} cannot be decided under them yet: {late}"
                    raise Refusal("conflict", detail, "try again later") from needed

    async def _reevaluate(
        self,
        job: RunnerJob,
        request: ApprovalRequest,
        rails: CompiledRails | None,
        refused: Mapping[str, AccountAccess],
    ) -> RunnerJob:
        """Evaluate a waiting job under the current rails; return it where they require no approval and it was queued.

        Raises Refusal where it now waits under them, where they cancelled it, and where they cannot decide, and
        PermissionsNeeded.
        """
        if rails is None or rails.mode == "observe" or job.delivery_id is None:
            raise Refusal("conflict", f"job {short_id(job.id)} waits until rails are in force that run jobs")
        async with self._store.reading() as db:
            delivery = await deliveries.get_delivery(db, job.delivery_id, None)
            body = await deliveries.get_body(db, job.delivery_id, None)
        try:
            source, trigger, evaluation = self._evaluator.reevaluate(delivery, body, rails, refused)
        except (SourceGone, NotJson, WrongShape) as error:
            detail = f"job {short_id(job.id)} cannot be decided under today's rails: {error}"
            raise Refusal("conflict", detail) from error
        if evaluation.asks:
            raise PermissionsNeeded(source.name, trigger.repository or "", evaluation.asks, evaluation.decision.reason)
        changed = f"the rails changed from {revision_name(request.rails_digest)} to {rails.revision}"
        type_ = evaluation.job
        if type_ is None or type_.name != job.type:
            reason = f"{changed}: {evaluation.decision.reason}"
            await self._store.write(transitions.cancel, job.id, approvals.RAILS_ACTOR, reason, self._now())
            raise Refusal("conflict", f"job {short_id(job.id)} was cancelled: {reason}")
        new = rails_approvals.approval_request(evaluation, trigger, self._now(), request)
        other = approvals.Reevaluation(
            profile=type_.profile.name,
            executor=type_.profile.executor,
            tries_max=type_.tries,
            on_interrupt=type_.on_interrupt,
            rails_digest=rails.digest,
            decision=evaluation.decision,
            request=new,
            reason=changed if new else f"the rails {rails.revision} require no approval",
        )
        job = await self._store.write(approvals.replace_request, job.id, request, other, self._now())
        if new is not None:
            hint = "look at what it would do under them, then approve it again"
            raise Refusal("conflict", f"{changed}, and job {short_id(job.id)} waits under the new ones", hint)
        self._put(job)
        return job


async def store_undecided(
    store: Store, result: CommandResult, new: deliveries.NewDelivery
) -> tuple[CommandResult, deliveries.Outcome | None]:
    """Store a comment that is not decided yet, unless it is stored already; return the result with what was stored."""
    if new.decides:
        return result, None
    new = structs.replace(new, decision=result.decision)
    return result, await store.write_item(deliveries.add_deliveries, (new, None))


def _is_stale(request: ApprovalRequest, rails: CompiledRails | None) -> bool:
    """Say whether an approval would be void because other rails are in force."""
    return not request.holds_under(None if rails is None else rails.digest)
