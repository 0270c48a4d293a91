"""Builds what a delivery leads to: the delivery to store, and the job that it requests."""

from collections.abc import Mapping
from typing import Any

from shared.ids import new_id, now_ms
from shared.models import Decision
from stitcherd.config.settings import Settings, SourceSettings
from stitcherd.jobs.prompt import compose_prompt
from stitcherd.policy import JobLimit
from stitcherd.rails import approvals as rails_approvals
from stitcherd.rails import limits
from stitcherd.rails.decide import Evaluation
from stitcherd.sources import SOURCES
from stitcherd.sources.trigger import Trigger
from stitcherd.store import deliveries, jobs
from stitcherd.store.evaluated import UndecidedDelivery

MAX_HEADER_LENGTH = 512  # characters of a header's value that are stored
DEFAULT_PRIORITY = 5


def delivery_to_store(
    source: SourceSettings, trigger: Trigger, evaluation: Evaluation, **received: Any
) -> deliveries.NewDelivery:
    """Return the delivery to store; `received` are the fields that do not follow from what was evaluated."""
    return deliveries.NewDelivery(
        **{"id": new_id()} | received,
        source=source.name,
        kind=source.kind,
        workspace=source.workspace,
        event=trigger.event,
        action=trigger.action,
        trigger=trigger.name,
        sender=trigger.sender,
        repository=trigger.repository,
        thread=trigger.thread,
        subject=trigger.subject,
        decision=evaluation.decision,
    )


def delivery_to_decide(
    undecided: UndecidedDelivery, decision: Decision, rails_in_force: str | None
) -> deliveries.NewDelivery:
    """Return a delivery that is stored and was not decided yet, with its decision and the rails that it is under."""
    stored = undecided.delivery
    return deliveries.NewDelivery(
        id=stored.id,
        source=stored.source,
        kind=stored.kind,
        workspace=stored.workspace_id,
        external_id=stored.external_id,
        received_at=now_ms(),
        event=stored.event,
        action=stored.action,
        trigger=stored.trigger,
        sender=stored.sender,
        repository=stored.repository,
        thread=stored.thread,
        body=undecided.body,
        body_sha256=stored.body_sha256,
        secret=stored.secret,
        headers=stored.headers,
        actor=undecided.actor,
        decision=decision,
        replay_of=stored.replay_of,
        subject=stored.subject,
        via=stored.via,
        decides=True,
        rails_in_force=rails_in_force,
    )


def requested_job(
    settings: Settings,
    source: SourceSettings,
    trigger: Trigger,
    evaluation: Evaluation,
    *,
    delivery_id: str,
    actor: str,
) -> jobs.NewJob | None:
    """Return the job that a delivery creates; None if the rails allow none."""
    type_, thread = evaluation.job, trigger.thread
    if type_ is None:
        return None
    repository = settings.repository(trigger.repository) if trigger.repository else None
    subject = f"{trigger.repository}#{thread.number}" if thread else trigger.repository or ""
    task = evaluation.task or f"{type_.name} {subject}".strip()
    base = trigger.ref or (repository.base if repository else None)
    head_ref = SOURCES[source.kind].head_ref(thread)
    return jobs.NewJob(
        id=new_id(),
        workspace=source.workspace,
        type=type_.name,
        profile=type_.profile.name,
        executor=type_.profile.executor,
        priority=DEFAULT_PRIORITY,
        repository=trigger.repository,
        ref=head_ref or base,
        thread=thread,
        prompt=compose_prompt(task, trigger.quotes),
        metadata={},
        tries_max=type_.tries,
        on_interrupt=type_.on_interrupt,
        rails_digest=evaluation.decision.rails_digest or "",
        actor=actor,
        origin={"trigger": evaluation.decision.trigger},
        delivery_id=delivery_id,
        limits=limits_of(source, trigger, evaluation),
        approval=rails_approvals.approval_request(evaluation, trigger, now_ms()),
        target=base if head_ref else None,
        head_sha=trigger.head_sha if head_ref else None,
    )


def limits_of(source: SourceSettings, trigger: Trigger, evaluation: Evaluation) -> tuple[JobLimit, ...]:
    """Return the limits that the job of a delivery counts against, none if it creates no job."""
    if evaluation.job is None:
        return ()
    return limits.job_limits(evaluation.limits, source.workspace, trigger.sender, trigger.repository, trigger.thread)


def actor_of(source: SourceSettings, trigger: Trigger) -> str:
    """Return the actor to record for a delivery: `source:NAME/LOGIN`, or without the login if it has no sender."""
    login = trigger.sender.partition(":")[2] if trigger.sender else ""
    return f"source:{source.name}/{login}" if login else f"source:{source.name}"


def headers_to_store(source: SourceSettings, headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a delivery that may be stored."""
    return {name: _header_text(headers[name]) for name in SOURCES[source.kind].kept_headers if name in headers}


def _header_text(value: str) -> str:
    """Return a header's value as text that can be stored: aiohttp keeps undecodable bytes as lone surrogates."""
    return value[:MAX_HEADER_LENGTH].encode("utf-8", "surrogateescape").decode("utf-8", "replace")
