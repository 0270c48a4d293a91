"""What is to be stored, drafted from what came in and what the rails said of it; stores nothing."""

import msgspec
from msgspec import Struct

from shared.ids import new_id, now_ms
from stitcherd import hashing, prompt
from stitcherd.judge import bounds
from stitcherd.rails import approving
from stitcherd.rails.decide import Ruling
from stitcherd.rails.rulebook import JobType
from stitcherd.settings.tables import RepositorySettings, SourceSettings
from stitcherd.store import entries
from stitcherd.trigger import Trigger

HEADER_MAX = 512  # characters of a header's value that are kept


class Received(Struct, frozen=True, kw_only=True):
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


def delivery(
    identifier: str, source: SourceSettings, trigger: Trigger, ruling: Ruling, received: Received
) -> entries.NewDelivery:
    """Return a delivery as it is stored."""
    return entries.NewDelivery(
        id=identifier,
        source=source.name,
        kind=source.kind,
        workspace=source.workspace,
        external_id=received.external_id,
        received_at=received.at,
        event=trigger.event,
        action=trigger.action,
        name=trigger.name,
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


def job(
    identifier: str,
    source: SourceSettings,
    trigger: Trigger,
    ruling: Ruling,
    actor: str,
    entry: RepositorySettings | None,
) -> entries.NewJob | None:
    """Return the job that a delivery leads to, None where the rails allowed none; `entry` is its repository's."""
    type_, thread = ruling.job, trigger.thread
    if type_ is None:
        return None
    subject = f"{trigger.repository}#{thread.number}" if thread else trigger.repository or ""
    return entries.NewJob(
        id=new_id(),
        workspace=source.workspace,
        type=type_.name,
        profile=type_.profile.name,
        executor=type_.profile.executor,
        priority=5,
        repository=trigger.repository,
        ref=trigger.ref or (entry.base if entry else None),
        thread=thread,
        prompt=prompt.compose(ruling.task or f"{type_.name} {subject}".strip(), trigger.quotes),
        metadata={},
        tries=type_.tries,
        on_interrupt=type_.on_interrupt,
        rails=ruling.decision.rails_revision or "",
        actor=actor,
        because={"trigger": ruling.decision.trigger},
        delivery=identifier,
        quotas=bounds(ruling, source.workspace, trigger.sender, trigger.repository, thread),
        terms=approving.terms_of(ruling, trigger, now_ms()),
    )


def dispatched(
    request: DispatchRequest, ruling: Ruling, type_: JobType, actor: str, entry: RepositorySettings | None
) -> entries.NewJob:
    """Return the job that was asked for by hand; `entry` is its repository's."""
    return entries.NewJob(
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
        tries=type_.tries,
        on_interrupt=type_.on_interrupt,
        rails=ruling.decision.rails_revision or "",
        actor=actor,
        because={"dispatch": request.type},
        agent_task=request.agent_task_id,
        idempotency_key=request.idempotency_key,
        request_sha256=hashing.sha256(msgspec.json.encode(request, order="sorted")),
        quotas=bounds(ruling, request.workspace, actor, request.repository),
    )


def actor_of(source: SourceSettings, trigger: Trigger) -> str:
    """Return who is said to have done what a delivery asks for."""
    login = trigger.sender.partition(":")[2] if trigger.sender else ""
    return f"source:{source.name}/{login}" if login else f"source:{source.name}"


def kept(value: str) -> str:
    """Return a header's value as text that can be stored: aiohttp keeps undecodable bytes as lone surrogates."""
    return value[:HEADER_MAX].encode("utf-8", "surrogateescape").decode("utf-8", "replace")
