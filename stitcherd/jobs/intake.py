"""The one way in: deliveries, dispatches, cancels and retries; decides, stores, and then nudges the queue."""

from collections.abc import Mapping

import msgspec
from msgspec import Struct, structs

from shared.api import WebhookResponse
from shared.ids import new_id, now_ms, short_id
from shared.models import Decision, Delivery, RunnerJob, Status, Verdict
from stitcherd.config.settings import RepositorySettings, Settings, SourceSettings
from stitcherd.errors import Refusal
from stitcherd.jobs import prompt
from stitcherd.jobs.approvals import Approvals
from stitcherd.jobs.evaluator import Evaluator, SourceGone
from stitcherd.jobs.runner import Runner
from stitcherd.queue import Queue
from stitcherd.rails import approvals, limits
from stitcherd.rails.compiled import JobType
from stitcherd.rails.decide import DispatchRequest, Evaluation, UnknownJobType
from stitcherd.rails.live import LiveRails
from stitcherd.sources import SOURCES, BadSignature, NotJson, WrongShape, signatures
from stitcherd.sources.trigger import Trigger
from stitcherd.store import deliveries, jobs, transitions
from stitcherd.store import limits as store_limits
from stitcherd.store.limits import LimitsReached
from stitcherd.store.sqlite import Store

# merged from stitcherd.drafts: What is to be stored, drafted from what came in and what the rails said of it;
# stores nothing.

MAX_HEADER_LENGTH = 512  # characters of a header's value that are kept


class ReceivedDelivery(Struct, frozen=True, kw_only=True):
    """What is known of a delivery besides what it says; the fields are those of `entries.NewDelivery`."""

    actor: str
    at: int
    external_id: str | None
    body: bytes
    body_sha256: str
    secret: int
    headers: dict[str, str]
    seen_since: int = 0
    same_body_since: int | None = None
    replay_of: str | None = None


class JobRequest(Struct, frozen=True, kw_only=True):
    """What is asked for by hand."""

    type: str
    prompt: str
    repository: str | None
    ref: str | None
    agent_task_id: str | None
    workspace: str
    priority: int
    metadata: dict[str, object]
    idempotency_key: str | None


def _new_delivery(
    identifier: str, source: SourceSettings, trigger: Trigger, ruling: Evaluation, received: ReceivedDelivery
) -> deliveries.NewDelivery:
    """Return a delivery as it is stored."""
    return deliveries.NewDelivery(
        id=identifier,
        source=source.name,
        kind=source.kind,
        workspace=source.workspace,
        external_id=received.external_id,
        received_at=received.at,
        event=trigger.event,
        action=trigger.action,
        trigger=trigger.name,
        sender=trigger.sender,
        repository=trigger.repository,
        thread=trigger.thread,
        body=received.body,
        body_sha256=received.body_sha256,
        secret=received.secret,
        headers=received.headers,
        actor=received.actor,
        decision=ruling.decision,
        seen_since=received.seen_since,
        same_body_since=received.same_body_since,
        replay_of=received.replay_of,
    )


def _new_job(
    identifier: str,
    source: SourceSettings,
    trigger: Trigger,
    ruling: Evaluation,
    actor: str,
    entry: RepositorySettings | None,
) -> jobs.NewJob | None:
    """Return the job that a delivery leads to, None where the rails allowed none; `entry` is its repository's."""
    type_, thread = ruling.job, trigger.thread
    if type_ is None:
        return None
    subject = f"{trigger.repository}#{thread.number}" if thread else trigger.repository or ""
    return jobs.NewJob(
        id=new_id(),
        workspace=source.workspace,
        type=type_.name,
        profile=type_.profile.name,
        executor=type_.profile.executor,
        priority=5,
        repository=trigger.repository,
        ref=trigger.ref or (entry.base if entry else None),
        thread=thread,
        prompt=prompt.compose_prompt(ruling.task or f"{type_.name} {subject}".strip(), trigger.quotes),
        metadata={},
        tries_max=type_.tries,
        on_interrupt=type_.on_interrupt,
        rails_revision=ruling.decision.rails_revision or "",
        actor=actor,
        origin={"trigger": ruling.decision.trigger},
        delivery_id=identifier,
        limits=limits.job_limits(ruling.limits, source.workspace, trigger.sender, trigger.repository, thread),
        approval=approvals.approval_request(ruling, trigger, now_ms()),
    )


def _dispatched_job(
    request: JobRequest, ruling: Evaluation, type_: JobType, actor: str, entry: RepositorySettings | None
) -> jobs.NewJob:
    """Return the job that was asked for by hand; `entry` is its repository's."""
    return jobs.NewJob(
        id=new_id(),
        workspace=request.workspace,
        type=request.type,
        profile=type_.profile.name,
        executor=type_.profile.executor,
        priority=request.priority,
        repository=request.repository,
        ref=request.ref or (entry.base if entry else None),
        thread=None,
        prompt=request.prompt or " ".join(filter(None, (request.type, request.repository))),
        metadata=request.metadata,
        tries_max=type_.tries,
        on_interrupt=type_.on_interrupt,
        rails_revision=ruling.decision.rails_revision or "",
        actor=actor,
        origin={"dispatch": request.type},
        agent_task_id=request.agent_task_id,
        idempotency_key=request.idempotency_key,
        request_sha256=signatures.sha256(msgspec.json.encode(request, order="sorted")),
        limits=limits.job_limits(ruling.limits, request.workspace, actor, request.repository),
    )


def _actor_of(source: SourceSettings, trigger: Trigger) -> str:
    """Return who is said to have done what a delivery asks for."""
    login = trigger.sender.partition(":")[2] if trigger.sender else ""
    return f"source:{source.name}/{login}" if login else f"source:{source.name}"


def _header_text(value: str) -> str:
    """Return a header's value as text that can be stored: aiohttp keeps undecodable bytes as lone surrogates."""
    return value[:MAX_HEADER_LENGTH].encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class Intake:
    """Takes in work and commands; returns once what it says is on disk."""

    def __init__(self, store: Store, settings: Settings, rails: LiveRails, queue: Queue, runner: Runner) -> None:
        self._store = store
        self._settings = settings
        self._rails = rails
        self._queue = queue
        self._runner = runner
        self.judge = Evaluator(settings)
        self.approvals = Approvals(store, rails, self.judge, self._put)

    async def deliver(
        self, source: SourceSettings, headers: Mapping[str, str], body: bytes, *, form: bool
    ) -> WebhookResponse:
        """Verify, parse, decide and store one webhook; raises Refusal, StorageUnavailable."""
        kind = SOURCES[source.kind]
        now = now_ms()
        try:
            secret = kind.verify(headers, body, source.secrets, now)
        except BadSignature as fault:
            hint = f"compare the secret in the forge's webhook settings with sources.{source.name}.secrets"
            raise Refusal("bad_signature", f"{fault} of source {source.name}", hint) from fault
        external_id, digest = kind.external_id(headers), signatures.sha256(body)
        seen_since = now - int(self._settings.retention.dedupe * 1000)
        same_body_since = None if kind.body_window == 0 else max(seen_since, now - (kind.body_window or now))
        try:
            trigger, ruling = self.judge.rule(source, headers, body, form=form, rulebook=self._rails.current)
        except (NotJson, WrongShape) as fault:
            # A repetition is answered as one before its body is looked at.
            async with self._store.reading() as db:
                repeated = await deliveries.find_repeated(
                    db, source.name, external_id, digest, seen_since, same_body_since
                )
            if repeated is not None:
                return _repeated_response(repeated)
            raise Refusal("bad_request" if isinstance(fault, NotJson) else "invalid", str(fault)) from fault
        received = ReceivedDelivery(
            actor=_actor_of(source, trigger),
            at=now,
            external_id=external_id,
            body=kind.scrub(body),
            body_sha256=digest,
            secret=secret,
            headers={name: _header_text(headers[name]) for name in kind.kept_headers if name in headers},
            seen_since=seen_since,
            same_body_since=same_body_since,
        )
        rulebook = self._rails.current
        said = approvals.approval_command(trigger, rulebook)
        if said is not None and rulebook is not None:
            new = _new_delivery(new_id(), source, trigger, ruling, received)
            decision, stored = await self.approvals.answer(said, trigger, rulebook, new)
            if isinstance(stored, deliveries.RepeatedDelivery):
                return _repeated_response(stored)
            return _response(new.id, decision.verdict, decision.reason, stored.job)
        return await self._record(source, trigger, ruling, received)

    async def replay(self, delivery: Delivery, body: bytes, actor: str) -> WebhookResponse:
        """Put a stored delivery through today's rails as a new one, which is no duplicate of it; raises Refusal.

        An approval among them approves nothing: what was said then was not said of what waits now.
        """
        source, trigger, ruling = self._again(delivery, body)
        received = ReceivedDelivery(
            actor=actor,
            at=now_ms(),
            external_id=delivery.external_id,
            body=body,
            body_sha256=delivery.body_sha256,
            secret=delivery.secret,
            headers=delivery.headers,
            replay_of=delivery.id,
        )
        return await self._record(source, trigger, ruling, received)

    async def rehearse(self, delivery: Delivery, body: bytes, actor: str) -> tuple[WebhookResponse, Decision]:
        """Return what a replay would be answered now, and its decision; nothing is stored. Raises Refusal."""
        source, trigger, ruling = self._again(delivery, body)
        job = self._job_of(delivery.id, source, trigger, ruling, actor)
        if job is not None:
            async with self._store.reading() as db:
                found = await jobs.find_open_on_thread(db, job)
            if found is not None:
                return _response(delivery.id, Verdict.DUPLICATE, _already_open(found), found), ruling.decision
        decision = await self._counted(source, trigger, ruling)
        return WebhookResponse(delivery.id, decision.verdict, None, None, decision.reason), decision

    async def explain(self, source: SourceSettings, headers: Mapping[str, str], body: bytes, *, form: bool) -> Decision:
        """Return what the rails in force, and their limits as used up by now, say of a delivery; stores nothing.

        Raises NotJson and WrongShape. No signature is asked for.
        """
        rulebook = self._rails.current
        return await self._counted(source, *self.judge.rule(source, headers, body, form=form, rulebook=rulebook))

    async def explain_again(self, delivery: Delivery, body: bytes) -> Decision:
        """Return what the rails in force, and their limits as used up by now, say of a stored delivery.

        Raises Refusal. That a job may be open on its thread is no matter of the rails.
        """
        return await self._counted(*self._again(delivery, body))

    async def dispatch(self, request: JobRequest, actor: str) -> tuple[RunnerJob, bool]:
        """Store a job that was asked for by hand, and say whether it is new; raises Refusal."""
        entry = self._settings.repository(request.repository) if request.repository else None
        asked = DispatchRequest(request.type, actor)
        try:
            ruling = self.judge.evaluate_dispatch(asked, request.repository, request.workspace, self._rails.current)
        except UnknownJobType as unknown:
            raise Refusal("invalid", f"type: {unknown}") from unknown
        decision = ruling.decision
        if ruling.job is None:
            remedy = decision.remedy.text if decision.remedy else None
            raise Refusal("denied", decision.reason, remedy, more={"decision": msgspec.to_builtins(decision)})
        job = _dispatched_job(request, ruling, ruling.job, actor, entry)
        now = now_ms()
        stored = await self._store.write(jobs.dispatch, job, decision, now)
        if isinstance(stored, LimitsReached):
            throttled = limits.apply_uses(decision, job.limits, stored.uses)
            more = {"decision": msgspec.to_builtins(throttled)}
            retry_after = limits.retry_after(stored.uses, now)
            raise Refusal("throttled", throttled.reason, retry_after=retry_after, more=more)
        if stored[1]:
            self._put(stored[0])
        return stored

    async def cancel(self, job_id: str, actor: str, reason: str | None) -> RunnerJob:
        """Cancel a job, at once or as soon as what it runs has ended; raises Refusal when it is over."""
        job = await self._store.write(transitions.cancel, job_id, actor, reason, now_ms())
        self._runner.cancel(job_id)
        return job

    async def retry(self, job_id: str, actor: str) -> RunnerJob:
        """Queue a failed or cancelled job again; raises Refusal when it is not over."""
        job = await self._store.write(transitions.retry, job_id, actor, now_ms())
        self._put(job)
        return job

    async def _record(
        self, source: SourceSettings, trigger: Trigger, ruling: Evaluation, received: ReceivedDelivery
    ) -> WebhookResponse:
        identifier = new_id()
        job = self._job_of(identifier, source, trigger, ruling, received.actor)
        new = _new_delivery(identifier, source, trigger, ruling, received)
        return await (self._store_delivery(new) if job is None else self._store_with_job(new, job))

    async def _store_with_job(self, new: deliveries.NewDelivery, job: jobs.NewJob) -> WebhookResponse:
        """Store a delivery with its job and queue it, or without where the job is already open or throttled."""
        stored = await self._store.write(deliveries.add_delivery_with_job, new, job)
        if isinstance(stored, deliveries.JobAlreadyOpen):
            found, reason = stored.job, _already_open(stored.job)
            duplicate = structs.replace(new, verdict=Verdict.DUPLICATE, reason=reason, job_id=found.id)
            return await self._store_delivery(duplicate, found)
        if isinstance(stored, LimitsReached):
            throttled = limits.apply_uses(new.decision, job.limits, stored.uses)
            return await self._store_delivery(structs.replace(new, decision=throttled))
        if isinstance(stored, deliveries.RepeatedDelivery):
            return _repeated_response(stored)
        if stored.job is not None and stored.job.status is Status.QUEUED:
            self._put(stored.job)
        return _response(new.id, new.decision.verdict, new.decision.reason, stored.job)

    async def _store_delivery(self, new: deliveries.NewDelivery, job: RunnerJob | None = None) -> WebhookResponse:
        """Store a delivery that creates no job; `job` is the one that it duplicates."""
        stored = await self._store.write(deliveries.add_delivery, new)
        if isinstance(stored, deliveries.RepeatedDelivery):
            return _repeated_response(stored)
        decision = new.decision
        return _response(new.id, new.verdict or decision.verdict, new.reason or decision.reason, job)

    async def _counted(self, source: SourceSettings, trigger: Trigger, ruling: Evaluation) -> Decision:
        repository, thread = trigger.repository, trigger.thread
        if ruling.job is None:
            return ruling.decision
        applying = limits.job_limits(ruling.limits, source.workspace, trigger.sender, repository, thread)
        async with self._store.reading() as db:
            uses = await store_limits.read_uses(db, applying, now_ms())
        return limits.apply_uses(ruling.decision, applying, uses)

    def _again(self, delivery: Delivery, body: bytes) -> tuple[SourceSettings, Trigger, Evaluation]:
        try:
            return self.judge.reevaluate(delivery, body, self._rails.current)
        except SourceGone as gone:
            raise Refusal("conflict", str(gone), "a delivery can be decided again only by its own source") from gone
        except (NotJson, WrongShape) as fault:
            raise Refusal("invalid", f"the stored body cannot be read: {fault}") from fault

    def _job_of(
        self, identifier: str, source: SourceSettings, trigger: Trigger, ruling: Evaluation, actor: str
    ) -> jobs.NewJob | None:
        entry = self._settings.repository(trigger.repository) if trigger.repository else None
        return _new_job(identifier, source, trigger, ruling, actor, entry)

    def _put(self, job: RunnerJob) -> None:
        self._queue.put(job.id, job.attempt, job.priority)


def _response(delivery_id: str, verdict: Verdict, reason: str, job: RunnerJob | None) -> WebhookResponse:
    """Return the answer to a delivery; a job that it denied is not named."""
    named = job if verdict in {Verdict.ALLOWED, Verdict.WAITING, Verdict.DUPLICATE} else None
    return WebhookResponse(delivery_id, verdict, named.id if named else None, named.status if named else None, reason)


def _repeated_response(repeated: deliveries.RepeatedDelivery) -> WebhookResponse:
    """Return the answer to a delivery that repeats an earlier one."""
    first = repeated.first
    reason = f"delivery {first.external_id or first.id} was received at {first.received_at}"
    return _response(first.id, Verdict.DUPLICATE, reason, repeated.job)


def _already_open(job: RunnerJob) -> str:
    """Return why a delivery creates no second job beside this one."""
    return f"job {short_id(job.id)} of type {job.type} is already {job.status} on this thread"
