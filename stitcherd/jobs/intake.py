"""Accepts events, told by webhooks or asked for, and replays: evaluates and stores them, and queues their jobs."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeVar

from msgspec import structs

from shared.deliveries import Delivery, Via, WebhookResponse
from shared.ids import now_ms, short_id
from shared.models import Decision, RunnerJob, Status, Verdict
from stitcherd.config.settings import Settings, SourceSettings
from stitcherd.errors import Refusal
from stitcherd.jobs.accounts import KeptAccounts
from stitcherd.jobs.deciding import Deciding
from stitcherd.jobs.evaluator import Evaluator, SourceGone
from stitcherd.jobs.refused_signatures import RefusedSignatures
from stitcherd.jobs.requested_jobs import (
    actor_of,
    delivery_to_decide,
    delivery_to_store,
    headers_to_store,
    limits_of,
    requested_job,
)
from stitcherd.jobs.thread_commands import ThreadCommands
from stitcherd.policy import AccountAccess, AccountSighting, JobLimit
from stitcherd.queue import JobQueue
from stitcherd.rails import limits
from stitcherd.rails.accounts import sightings
from stitcherd.rails.commands import thread_command
from stitcherd.rails.compiled import CompiledRails
from stitcherd.rails.decide import Evaluation
from stitcherd.rails.live import LiveRails
from stitcherd.sources import SOURCES, BadSignature, NotJson, WrongShape, signatures
from stitcherd.sources.trigger import Trigger
from stitcherd.store import deliveries, jobs
from stitcherd.store import limits as store_limits
from stitcherd.store.accounts import AccountTaken
from stitcherd.store.evaluated import UndecidedDelivery
from stitcherd.store.in_force import RailsReplaced
from stitcherd.store.limits import LimitsReached
from stitcherd.store.repetitions import DeliveryIdentity, RepeatedDelivery, find_repeated
from stitcherd.store.store import Store

R = TypeVar("R")

MAX_DECISIONS = 5  # on one delivery, while other ids are kept for its accounts, or other rails are put in force


class Intake:
    """Accepts deliveries; its methods return once what they answer is stored."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        rails: LiveRails,
        evaluator: Evaluator,
        commands: ThreadCommands,
        accounts: KeptAccounts,
        queue: JobQueue,
        deciding: Deciding | None = None,
    ) -> None:
        self._store = store
        self._settings = settings
        self._rails = rails
        self._evaluator = evaluator
        self._commands = commands
        self._accounts = accounts
        self._queue = queue
        self._deciding = deciding
        self.refused_signatures = RefusedSignatures()

    async def deliver(
        self, source: SourceSettings, headers: Mapping[str, str], body: bytes, *, form: bool
    ) -> WebhookResponse:
        """Verify, parse, evaluate and store one webhook; raises Refusal, StorageUnavailable."""
        kind = SOURCES[source.kind]
        now = now_ms()
        try:
            secret = kind.verify(headers, body, source.secrets, now)
        except BadSignature as error:
            self.refused_signatures.note(source.name, str(error), now)
            hint = f"compare the secret in the forge's webhook settings with sources.{source.name}.secrets"
            raise Refusal("bad_signature", f"{error} of source {source.name}", hint) from error
        received = partial(self._accept, source, headers, body, kind.external_id(headers), form=form, now=now)
        return await self._until_current(partial(received, secret=secret, via=Via.WEBHOOK))

    async def take(
        self, source: SourceSettings, headers: Mapping[str, str], body: bytes, external_id: str | None, via: Via
    ) -> WebhookResponse:
        """Parse, evaluate and store an event that the forge was asked for, in the form of its webhook (JSON).

        It has no signature: that it comes from the forge is known by the connection. Raises Refusal,
        StorageUnavailable.
        """
        received = partial(self._accept, source, headers, body, external_id, form=False, now=now_ms())
        return await self._until_current(partial(received, secret=0, via=via))

    async def _accept(
        self,
        source: SourceSettings,
        headers: Mapping[str, str],
        body: bytes,
        external_id: str | None,
        *,
        form: bool,
        now: int,
        secret: int,
        via: Via,
    ) -> WebhookResponse:
        kind = SOURCES[source.kind]
        digest = signatures.sha256(body)
        kept_headers = headers_to_store(source, headers)
        hook = kept_headers.get(kind.hook_header or "")
        seen_since = now - int(self._settings.retention.dedupe * 1000)
        same_body_since = None if kind.body_window == 0 else max(seen_since, now - (kind.body_window or now))
        rails, in_force = self._rails.current, self._rails.in_force
        try:
            trigger, evaluation = self._evaluator.evaluate(source, headers, body, form=form, rails=rails)
        except (NotJson, WrongShape) as error:
            # A repetition gets its first answer even if its body cannot be read.
            async with self._store.reading() as db:
                seen = (external_id, digest, seen_since, same_body_since)
                identity = DeliveryIdentity(source.name, *seen, via=via, hook=hook)
                repeated = await find_repeated(db, identity)
            if repeated is not None:
                return _repeated_response(repeated)
            raise Refusal("bad_request" if isinstance(error, NotJson) else "invalid", str(error)) from error
        if self._deciding is not None:
            await self._deciding.note_event(source.name, trigger.event, trigger.repository)
        new = delivery_to_store(
            source,
            trigger,
            evaluation,
            external_id=external_id,
            received_at=now,
            body=kind.scrub(body),
            body_sha256=digest,
            secret=secret,
            headers=kept_headers,
            actor=actor_of(source, trigger),
            seen_since=seen_since,
            same_body_since=same_body_since,
            via=via,
            hook=hook,
            accounts=self._sightings(trigger, rails),
            rails_in_force=in_force,
        )
        command = thread_command(trigger, rails)
        if command is not None and rails is not None:
            facts = self._evaluator.facts(source, trigger)
            result, stored = await self._commands.answer(command, trigger, rails, new, facts)
            await self._accounts.refresh(new.accounts)
            if isinstance(stored, RepeatedDelivery):
                return _repeated_response(stored)
            if result.asks:
                self._put_undecided(new)
            decision = result.decision
            changed = stored.job if isinstance(stored, deliveries.StoredDelivery) else None
            return _response(new.id, decision.verdict, decision.reason, changed)
        return await self._store_evaluated(new, self._job_of(new, source, trigger, evaluation))

    async def decide(self, undecided: UndecidedDelivery, refused: Mapping[str, AccountAccess]) -> Mapping[str, str]:
        """Decide a delivery that was not decided yet under the current rails; return the accounts to be asked first.

        `refused` are accounts, by id, of which the forge tells nothing. Raises AlreadyDecided, StorageUnavailable.
        """
        return await self._until_current(partial(self._decide, undecided, refused))

    async def _decide(self, undecided: UndecidedDelivery, refused: Mapping[str, AccountAccess]) -> Mapping[str, str]:
        rails, in_force, delivery = self._rails.current, self._rails.in_force, undecided.delivery
        try:
            source, trigger, evaluation = self._evaluator.reevaluate(delivery, undecided.body, rails, refused)
        except (SourceGone, NotJson, WrongShape) as error:
            decision = Decision(Verdict.DENIED, f"it cannot be decided any more: {error}", None)
            given_up = delivery_to_decide(undecided, decision, None)
            await self._store.write_item(deliveries.add_deliveries, (given_up, None))
            return {}
        new = delivery_to_decide(undecided, evaluation.decision, in_force)
        command = thread_command(trigger, rails) if delivery.replay_of is None else None
        if command is not None and rails is not None:
            facts = self._evaluator.facts(source, trigger, refused)
            result, _ = await self._commands.answer(command, trigger, rails, new, facts)
            return result.asks
        if not evaluation.asks:
            await self._store_evaluated(new, self._job_of(new, source, trigger, evaluation))
        return evaluation.asks

    async def replay(self, delivery: Delivery, body: bytes, actor: str) -> WebhookResponse:
        """Evaluate a stored delivery under the current rails and store it as a new one, never as a duplicate.

        A replayed command of a thread does nothing: it was given for the jobs of its time. Raises Refusal.
        """
        return await self._until_current(partial(self._replay, delivery, body, actor))

    async def _replay(self, delivery: Delivery, body: bytes, actor: str) -> WebhookResponse:
        source, trigger, evaluation = self._reevaluate(delivery, body)
        new = delivery_to_store(
            source,
            trigger,
            evaluation,
            external_id=delivery.external_id,
            received_at=now_ms(),
            body=body,
            body_sha256=delivery.body_sha256,
            secret=delivery.secret,
            headers=delivery.headers,
            actor=actor,
            replay_of=delivery.id,
            via=delivery.via,
            accounts=self._sightings(trigger, self._rails.current),
            rails_in_force=self._rails.in_force,
        )
        return await self._store_evaluated(new, self._job_of(new, source, trigger, evaluation))

    async def rehearse(self, delivery: Delivery, body: bytes, actor: str) -> tuple[WebhookResponse, Decision]:
        """Return the answer that a replay would get now, and its decision; store nothing. Raises Refusal."""
        source, trigger, evaluation = self._reevaluate(delivery, body)
        job = requested_job(self._settings, source, trigger, evaluation, delivery_id=delivery.id, actor=actor)
        if job is not None:
            async with self._store.reading() as db:
                found = await jobs.find_open_on_thread(db, job)
            if found is not None:
                return _response(delivery.id, Verdict.DUPLICATE, _already_open(found), found), evaluation.decision
        decision = await self._apply_limits(evaluation.decision, job.limits if job else ())
        return _response(delivery.id, decision.verdict, decision.reason, None), decision

    async def explain(self, source: SourceSettings, headers: Mapping[str, str], body: bytes, *, form: bool) -> Decision:
        """Return the decision on a delivery under the current rails and limits; store nothing, check no signature.

        Raises NotJson and WrongShape.
        """
        rails = self._rails.current
        trigger, evaluation = self._evaluator.evaluate(source, headers, body, form=form, rails=rails)
        return await self._apply_limits(evaluation.decision, limits_of(source, trigger, evaluation))

    async def explain_again(self, delivery: Delivery, body: bytes) -> Decision:
        """Return the decision on a stored delivery under the current rails and limits; store nothing.

        Whether a job is open on its thread does not count. Raises Refusal.
        """
        source, trigger, evaluation = self._reevaluate(delivery, body)
        return await self._apply_limits(evaluation.decision, limits_of(source, trigger, evaluation))

    async def _until_current(self, store: Callable[[], Awaitable[R]]) -> R:
        """Decide and store a delivery, and again where meanwhile the ids of its accounts or the rails have changed."""
        for _ in range(MAX_DECISIONS - 1):
            try:
                return await store()
            except AccountTaken:
                await self._accounts.load()
            except RailsReplaced:
                await self._rails.follow()
        return await store()

    def _sightings(self, trigger: Trigger, rails: CompiledRails | None) -> tuple[AccountSighting, ...]:
        return sightings(trigger, rails.accounts, self._accounts.ids) if rails else ()

    async def _store_evaluated(self, new: deliveries.NewDelivery, job: jobs.NewJob | None) -> WebhookResponse:
        """Store a delivery with its job and queue that; without it if one is open already or a limit is reached."""
        if job is None:
            return await self._store_delivery(new)
        stored = await self._store.write_item(deliveries.add_deliveries, (new, job))
        if isinstance(stored, deliveries.JobAlreadyOpen):
            found, reason = stored.job, _already_open(stored.job)
            duplicate = structs.replace(new, verdict=Verdict.DUPLICATE, reason=reason, job_id=found.id)
            return await self._store_delivery(duplicate, found)
        if isinstance(stored, LimitsReached):
            throttled = limits.apply_uses(new.decision, job.limits, stored.uses)
            return await self._store_delivery(structs.replace(new, decision=throttled))
        if isinstance(stored, RepeatedDelivery):
            return _repeated_response(stored)
        if job.status is Status.QUEUED:
            self._queue.put(job.id, jobs.FIRST_ATTEMPT, job.priority)
        await self._accounts.refresh(new.accounts)
        return _response(new.id, new.decision.verdict, new.decision.reason, job)

    async def _store_delivery(self, new: deliveries.NewDelivery, job: RunnerJob | None = None) -> WebhookResponse:
        """Store a delivery that creates no job; `job` is the one that it duplicates."""
        stored = await self._store.write_item(deliveries.add_deliveries, (new, None))
        if isinstance(stored, RepeatedDelivery):
            return _repeated_response(stored)
        await self._accounts.refresh(new.accounts)
        decision = new.decision
        if decision.verdict is Verdict.DECIDING:
            self._put_undecided(new)
        return _response(new.id, new.verdict or decision.verdict, new.reason or decision.reason, job)

    def _put_undecided(self, new: deliveries.NewDelivery) -> None:
        if self._deciding is not None:
            self._deciding.put(new.id, new.workspace, new.repository, new.thread)

    async def _apply_limits(self, decision: Decision, job_limits: tuple[JobLimit, ...]) -> Decision:
        """Return the decision as the limits that a job would count against leave it."""
        if not job_limits:
            return decision
        async with self._store.reading() as db:
            uses = await store_limits.read_uses(db, job_limits, now_ms())
        return limits.apply_uses(decision, job_limits, uses)

    def _reevaluate(self, delivery: Delivery, body: bytes) -> tuple[SourceSettings, Trigger, Evaluation]:
        try:
            return self._evaluator.reevaluate(delivery, body, self._rails.current)
        except SourceGone as error:
            raise Refusal("conflict", str(error), "a delivery can be decided again only by its own source") from error
        except (NotJson, WrongShape) as error:
            raise Refusal("invalid", f"the stored body cannot be read: {error}") from error

    def _job_of(
        self, new: deliveries.NewDelivery, source: SourceSettings, trigger: Trigger, evaluation: Evaluation
    ) -> jobs.NewJob | None:
        return requested_job(self._settings, source, trigger, evaluation, delivery_id=new.id, actor=new.actor)


def _response(delivery_id: str, verdict: Verdict, reason: str, job: RunnerJob | jobs.NewJob | None) -> WebhookResponse:
    """Return the answer to a delivery; a job that it denied is not named."""
    named = job if verdict in {Verdict.ALLOWED, Verdict.WAITING, Verdict.DUPLICATE} else None
    return WebhookResponse(delivery_id, verdict, named.id if named else None, named.status if named else None, reason)


def _repeated_response(repeated: RepeatedDelivery) -> WebhookResponse:
    """Return the answer to a delivery that repeats an earlier one."""
    first, job = repeated.first, repeated.job  # no job either if retention has removed it
    reason = f"delivery {first.external_id or first.id} was received at {first.received_at}"
    return WebhookResponse(first.id, Verdict.DUPLICATE, first.job_id, job.status if job else None, reason)


def _already_open(job: RunnerJob) -> str:
    """Return why a delivery creates no second job beside this one."""
    return f"job {short_id(job.id)} of type {job.type} is already {job.status} on this thread"
