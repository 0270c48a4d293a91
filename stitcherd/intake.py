"""The one way in: deliveries, dispatches, cancels and retries; decides, stores, and then nudges the queue."""

import hashlib
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from shared.ids import new_id, now_ms
from shared.models import Answer, RunnerJob, Verdict
from stitcherd import prompt
from stitcherd.executors import kinds
from stitcherd.gates import BUILTINS
from stitcherd.queue import Queue
from stitcherd.rails.decide import Request, Ruling, UnknownJobType, decide, decide_dispatch
from stitcherd.rails.feasible import Facts
from stitcherd.rails.in_force import RailsInForce
from stitcherd.refusal import Refusal
from stitcherd.runner import Runner
from stitcherd.settings import Settings
from stitcherd.settings_tables import RepositorySettings, SourceSettings
from stitcherd.sources import SOURCES, BadSignature, NotJson, WrongShape
from stitcherd.store import entries, moves
from stitcherd.store.sqlite import Store
from stitcherd.trigger import Trigger

HEADER_MAX = 512  # characters of a header's value that are kept
DIFF_RULES = "gate builtin diff-rules is not in this version"
SANDBOXES = {"none": None, "bwrap": "sandbox bwrap is not in this version"}


class DispatchRequest(Struct, frozen=True, kw_only=True):
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


class Intake:
    """Takes in work and commands; returns once what it says is on disk."""

    def __init__(self, store: Store, settings: Settings, rails: RailsInForce, queue: Queue, runner: Runner) -> None:
        self._store = store
        self._settings = settings
        self._rails = rails
        self._queue = queue
        self._runner = runner
        self._executors = kinds.usable(settings.executors)
        self._toolless = frozenset(name for name, it in settings.executors.items() if it.kind in kinds.TOOLLESS)
        self._gates = {} if "diff-rules" in BUILTINS else {"diff-rules": DIFF_RULES}

    async def deliver(self, source: SourceSettings, headers: Mapping[str, str], body: bytes, *, form: bool) -> Answer:
        """Verify, parse, decide and store one webhook; raises Refusal, StorageUnavailable."""
        kind = SOURCES[source.kind]
        now = now_ms()
        try:
            secret = kind.verify(headers, body, source.secrets, now)
        except BadSignature as fault:
            hint = f"compare the secret in the forge's webhook settings with sources.{source.name}.secrets"
            raise Refusal("bad_signature", f"{fault} of source {source.name}", hint) from fault
        external_id, digest = kind.external_id(headers), hashlib.sha256(body).hexdigest()
        seen_since = now - int(self._settings.retention.dedupe * 1000)
        same_body_since = None if kind.body_window == 0 else max(seen_since, now - (kind.body_window or now))
        try:
            trigger = kind.parse(headers, body, source=source.name, bot=source.bot, form=form)
        except (NotJson, WrongShape) as fault:
            # A repetition is answered as one before its body is looked at.
            repeated = await self._store.write(
                entries.find_repeated, source.name, external_id, digest, seen_since, same_body_since
            )
            if repeated is not None:
                return _answer(repeated)
            raise Refusal("bad_request" if isinstance(fault, NotJson) else "invalid", str(fault)) from fault
        entry = self._settings.repository(trigger.repository) if trigger.repository else None
        ruling = decide(trigger, self._rails.current, self._facts(trigger.repository, entry, source))
        identifier, actor = new_id(), _actor(source, trigger)
        job = self._job_of(trigger, ruling, identifier, actor, entry, source) if ruling.job else None
        recorded = await self._store.write(
            entries.add_delivery,
            entries.NewDelivery(
                id=identifier,
                source=source.name,
                kind=source.kind,
                workspace=source.workspace,
                external_id=external_id,
                received_at=now,
                event=trigger.event,
                action=trigger.action,
                name=trigger.name,
                sender=trigger.sender,
                repository=trigger.repository,
                thread=trigger.thread,
                body=kind.scrub(body),
                body_sha256=digest,
                secret=secret,
                headers={name: _text(headers[name]) for name in kind.kept_headers if name in headers},
                actor=actor,
                decision=ruling.decision,
                seen_since=seen_since,
                same_body_since=same_body_since,
            ),
            job,
        )
        if job is not None and recorded.job is not None and recorded.job.id == job.id:
            self._put(recorded.job)
        return _answer(recorded)

    async def dispatch(self, request: DispatchRequest, actor: str) -> tuple[RunnerJob, bool]:
        """Store a job that was asked for by hand, and say whether it is new; raises Refusal."""
        entry = self._settings.repository(request.repository) if request.repository else None
        facts = self._facts(request.repository, entry, None, request.workspace)
        try:
            ruling = decide_dispatch(Request(request.type, actor), self._rails.current, facts)
        except UnknownJobType as unknown:
            raise Refusal("invalid", f"type: {unknown}") from unknown
        decision = ruling.decision
        if ruling.job is None:
            remedy = decision.remedy.text if decision.remedy else None
            raise Refusal("denied", decision.reason, remedy, more={"decision": msgspec.to_builtins(decision)})
        job = entries.NewJob(
            id=new_id(),
            workspace=request.workspace,
            type=request.type,
            profile=ruling.job.profile.name,
            executor=ruling.job.profile.executor,
            priority=request.priority,
            repository=request.repository,
            ref=request.ref or (entry.base if entry else None),
            thread=None,
            prompt=request.prompt or " ".join(filter(None, (request.type, request.repository))),
            metadata=request.metadata,
            tries=ruling.job.tries,
            on_interrupt=ruling.job.on_interrupt,
            rails=decision.rails_revision or "",
            actor=actor,
            because={"dispatch": request.type},
            agent_task=request.agent_task_id,
            idempotency_key=request.idempotency_key,
            request_sha256=hashlib.sha256(msgspec.json.encode(request, order="sorted")).hexdigest(),
        )
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

    def _put(self, job: RunnerJob) -> None:
        self._queue.put(job.id, job.attempt, job.priority)

    def _facts(
        self,
        repository: str | None,
        entry: RepositorySettings | None,
        source: SourceSettings | None,
        workspace: str = "",
    ) -> Facts:
        unusable = publish = None
        workspace = source.workspace if source else workspace
        if repository is not None and entry is None:
            unusable = f"{repository} matches no [repositories] entry of stitcherd.toml"
        elif entry is not None and entry.workspace != workspace:
            unusable = f"{repository} does not belong to workspace {workspace}"
        if entry is not None and not entry.is_path:
            publish = f"clone of {repository} is a URL, and this version can publish only into a path"
        return Facts(
            executors=self._executors,
            sandboxes=SANDBOXES,
            gates=self._gates,
            toolless=self._toolless,
            repository=unusable,
            publish=publish,
            bot=source.bot if source else None,
        )

    def _job_of(
        self,
        trigger: Trigger,
        ruling: Ruling,
        delivery: str,
        actor: str,
        entry: RepositorySettings | None,
        source: SourceSettings,
    ) -> entries.NewJob | None:
        job, thread = ruling.job, trigger.thread
        if job is None:
            return None
        subject = f"{trigger.repository}#{thread.number}" if thread else trigger.repository or ""
        return entries.NewJob(
            id=new_id(),
            workspace=source.workspace,
            type=job.name,
            profile=job.profile.name,
            executor=job.profile.executor,
            priority=5,
            repository=trigger.repository,
            ref=trigger.ref or (entry.base if entry else None),
            thread=thread,
            prompt=prompt.compose(ruling.task or f"{job.name} {subject}".strip(), trigger.quotes),
            metadata={},
            tries=job.tries,
            on_interrupt=job.on_interrupt,
            rails=ruling.decision.rails_revision or "",
            actor=actor,
            because={"trigger": ruling.decision.trigger},
            delivery=delivery,
        )


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


def _actor(source: SourceSettings, trigger: Trigger) -> str:
    login = trigger.sender.partition(":")[2] if trigger.sender else ""
    return f"source:{source.name}/{login}" if login else f"source:{source.name}"


def _text(value: str) -> str:
    """Return a header's value as text that can be stored: aiohttp keeps undecodable bytes as lone surrogates."""
    return value[:HEADER_MAX].encode("utf-8", "surrogateescape").decode("utf-8", "replace")
