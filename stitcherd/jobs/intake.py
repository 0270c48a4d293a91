"""The one way in: deliveries, dispatches, cancels and retries; decides, stores, and then nudges the queue."""

from collections.abc import Mapping

import msgspec

from shared.ids import new_id, now_ms
from shared.models import Answer, Decision, Delivery, RunnerJob, Status, Verdict
from stitcherd import drafts, hashing
from stitcherd.approvals import Approvals
from stitcherd.judge import Judge, SourceGone, bounds
from stitcherd.queue import Queue
from stitcherd.rails import approving
from stitcherd.rails.decide import Request, Ruling, UnknownJobType
from stitcherd.rails.in_force import RailsInForce
from stitcherd.refusal import Refusal
from stitcherd.runner import Runner
from stitcherd.settings import Settings
from stitcherd.settings.tables import SourceSettings
from stitcherd.sources import SOURCES, BadSignature, NotJson, WrongShape
from stitcherd.store import entries, moves, quotas
from stitcherd.store.sqlite import Store
from stitcherd.trigger import Trigger


class Intake:
    """Takes in work and commands; returns once what it says is on disk."""

    def __init__(self, store: Store, settings: Settings, rails: RailsInForce, queue: Queue, runner: Runner) -> None:
        self._store = store
        self._settings = settings
        self._rails = rails
        self._queue = queue
        self._runner = runner
        self.judge = Judge(settings)
        self.approvals = Approvals(store, rails, self.judge, self._put)

    async def deliver(self, source: SourceSettings, headers: Mapping[str, str], body: bytes, *, form: bool) -> Answer:
        """Verify, parse, decide and store one webhook; raises Refusal, StorageUnavailable."""
        kind = SOURCES[source.kind]
        now = now_ms()
        try:
            secret = kind.verify(headers, body, source.secrets, now)
        except BadSignature as fault:
            hint = f"compare the secret in the forge's webhook settings with sources.{source.name}.secrets"
            raise Refusal("bad_signature", f"{fault} of source {source.name}", hint) from fault
        external_id, digest = kind.external_id(headers), hashing.sha256(body)
        seen_since = now - int(self._settings.retention.dedupe * 1000)
        same_body_since = None if kind.body_window == 0 else max(seen_since, now - (kind.body_window or now))
        try:
            trigger, ruling = self.judge.rule(source, headers, body, form=form, rulebook=self._rails.current)
        except (NotJson, WrongShape) as fault:
            # A repetition is answered as one before its body is looked at.
            repeated = await self._store.write(
                entries.find_repeated, source.name, external_id, digest, seen_since, same_body_since
            )
            if repeated is not None:
                return _answer(repeated)
            raise Refusal("bad_request" if isinstance(fault, NotJson) else "invalid", str(fault)) from fault
        received = drafts.Received(
            actor=drafts.actor_of(source, trigger),
            at=now,
            external_id=external_id,
            body=kind.scrub(body),
            body_sha256=digest,
            secret=secret,
            headers={name: drafts.kept(headers[name]) for name in kind.kept_headers if name in headers},
            seen_since=seen_since,
            same_body_since=same_body_since,
        )
        rulebook = self._rails.current
        said = approving.answer_in(trigger, rulebook)
        if said is not None and rulebook is not None:
            return _answer(
                await self.approvals.answer(
                    said, trigger, rulebook, drafts.delivery(new_id(), source, trigger, ruling, received)
                )
            )
        return await self._record(source, trigger, ruling, received)

    async def replay(self, delivery: Delivery, body: bytes, actor: str) -> Answer:
        """Put a stored delivery through today's rails as a new one, which is no duplicate of it; raises Refusal.

        An approval among them approves nothing: what was said then was not said of what waits now.
        """
        source, trigger, ruling = self._again(delivery, body)
        received = drafts.Received(
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

    async def rehearse(self, delivery: Delivery, body: bytes, actor: str) -> tuple[Answer, Decision]:
        """Return what a replay would be answered now, and its decision; nothing is stored. Raises Refusal."""
        source, trigger, ruling = self._again(delivery, body)
        job = self._job_of(delivery.id, source, trigger, ruling, actor)
        found = await self._store.write(entries.open_on_thread, job) if job is not None else None
        if found is not None:
            reason = entries.already_open(found)
            return Answer(delivery.id, Verdict.DUPLICATE, found.id, found.status, reason), ruling.decision
        decision = await self._counted(source, trigger, ruling)
        return Answer(delivery.id, decision.verdict, None, None, decision.reason), decision

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

    async def dispatch(self, request: drafts.DispatchRequest, actor: str) -> tuple[RunnerJob, bool]:
        """Store a job that was asked for by hand, and say whether it is new; raises Refusal."""
        entry = self._settings.repository(request.repository) if request.repository else None
        asked = Request(request.type, actor)
        try:
            ruling = self.judge.rule_dispatch(asked, request.repository, request.workspace, self._rails.current)
        except UnknownJobType as unknown:
            raise Refusal("invalid", f"type: {unknown}") from unknown
        decision = ruling.decision
        if ruling.job is None:
            remedy = decision.remedy.text if decision.remedy else None
            raise Refusal("denied", decision.reason, remedy, more={"decision": msgspec.to_builtins(decision)})
        job = drafts.dispatched(request, ruling, ruling.job, actor, entry)
        stored, new = await self._store.write(entries.dispatch, job, decision, now_ms())
        if new:
            self._put(stored)
        return stored, new

    async def cancel(self, job_id: str, actor: str, reason: str | None) -> RunnerJob:
        """Cancel a job, at once or as soon as what it runs has ended; raises Refusal when it is over."""
        job = await self._store.write(moves.cancel, job_id, actor, reason, now_ms())
        self._runner.cancel(job_id)
        return job

    async def retry(self, job_id: str, actor: str) -> RunnerJob:
        """Queue a failed or cancelled job again; raises Refusal when it is not over."""
        job = await self._store.write(moves.retry, job_id, actor, now_ms())
        self._put(job)
        return job

    async def _record(
        self, source: SourceSettings, trigger: Trigger, ruling: Ruling, received: drafts.Received
    ) -> Answer:
        identifier = new_id()
        job = self._job_of(identifier, source, trigger, ruling, received.actor)
        recorded = await self._store.write(
            entries.add_delivery, drafts.delivery(identifier, source, trigger, ruling, received), job
        )
        stored = job is not None and recorded.job is not None and recorded.job.id == job.id
        if stored and recorded.job is not None and recorded.job.status is Status.QUEUED:
            self._put(recorded.job)
        return _answer(recorded)

    async def _counted(self, source: SourceSettings, trigger: Trigger, ruling: Ruling) -> Decision:
        repository, thread = trigger.repository, trigger.thread
        limits = bounds(ruling, source.workspace, trigger.sender, repository, thread)
        if not limits:
            return ruling.decision
        return quotas.ruled(ruling.decision, await self._store.write(quotas.uses, limits, now_ms()))

    def _again(self, delivery: Delivery, body: bytes) -> tuple[SourceSettings, Trigger, Ruling]:
        try:
            return self.judge.rule_again(delivery, body, self._rails.current)
        except SourceGone as gone:
            raise Refusal("conflict", str(gone), "a delivery can be decided again only by its own source") from gone
        except (NotJson, WrongShape) as fault:
            raise Refusal("invalid", f"the stored body cannot be read: {fault}") from fault

    def _job_of(
        self, identifier: str, source: SourceSettings, trigger: Trigger, ruling: Ruling, actor: str
    ) -> entries.NewJob | None:
        entry = self._settings.repository(trigger.repository) if trigger.repository else None
        return drafts.job(identifier, source, trigger, ruling, actor, entry)

    def _put(self, job: RunnerJob) -> None:
        self._queue.put(job.id, job.attempt, job.priority)


def _answer(recorded: entries.Recorded) -> Answer:
    job = recorded.job
    shown = job if recorded.verdict in {Verdict.ALLOWED, Verdict.WAITING, Verdict.DUPLICATE} else None
    return Answer(
        recorded.delivery_id,
        recorded.verdict,
        shown.id if shown else None,
        shown.status if shown else None,
        recorded.reason,
    )
