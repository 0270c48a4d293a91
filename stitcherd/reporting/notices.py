"""What is told of an event: structured fields, one line of words, the arguments of a command, the body of a webhook."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from shared.ids import format_timestamp, short_id
from shared.models import RunnerJob
from stitcherd.config.notify import PLACEHOLDER
from stitcherd.reporting.foreign_text import plain_line
from stitcherd.store.events import FollowedEvent

SUMMARY_MAX = 300  # characters
URL_MAX = 2000
_VERBS = {
    "job.completed": "is done",
    "job.waiting": "waits for an approval",
    "job.cancelled": "was cancelled",
    "job.created": "was created",
    "job.queued": "is queued",
    "job.retried": "is tried again",
    "job.approved": "was approved",
    "job.denied": "was denied",
    "job.recovered": "was recovered",
    "step.started": "began a step",
    "step.completed": "completed a step",
    "step.failed": "failed a step",
    "step.skipped": "skipped a step",
    "ai.tool_denied": "was denied a tool",
    "ai.artifact_created": "made an artifact",
    "gate.started": "began a gate",
    "gate.passed": "passed a gate",
    "gate.failed": "failed a gate",
    "source.held": "is held",
    "source.resumed": "can be used again",
    "daemon.gone": "is gone",
    "rails.reloaded": "were reloaded",
    "rails.rejected": "were rejected",
    "delivery.received": "was received",
    "delivery.decided": "was decided",
    "answer.sent": "was sent",
    "account.accepted": "was accepted",
}  # others are as the event: failed, started
_REASONS = {  # by the fields of their payloads
    "job.failed": "{code}: {detail}",
    "answer.failed": "{code}: {detail}",
    "daemon.joined": "runs {workers} jobs at a time",
    "rails.reloaded": "{revision} {summary}",
    "rails.rejected": "line {line}: {message}",
    "delivery.received": "{verdict}: {reason}",
    "delivery.decided": "{verdict}: {reason}",
}

Mask = Callable[[str], str]


class Notice(Struct, frozen=True, kw_only=True):
    """An event that somebody is told of; `at` is in milliseconds since 1970, and what it is not about is None."""

    event: int
    type: str
    at: int
    workspace: str | None
    subject: str
    reason: str | None = None
    job: str | None = None
    job_type: str | None = None
    attempt: int | None = None
    repository: str | None = None
    thread_kind: str | None = None
    thread_number: int | None = None
    url: str | None = None
    delivery: str | None = None
    source: str | None = None


def notice_of(event: FollowedEvent, job: RunnerJob | None, source: str | None = None) -> Notice:
    """Return what is told of an event, and of the job that it is about, which came from a source."""
    payload: dict[str, Any] = msgspec.json.decode(event.payload)
    thread = job.thread if job else None
    return Notice(
        event=event.id,
        type=event.type,
        at=event.at,
        workspace=job.workspace_id if job else event.workspace,
        subject=_subject(event, job, payload),
        reason=_reason(event, payload) or None,
        job=job.id if job else None,
        job_type=job.type if job else None,
        attempt=job.attempt if job else None,
        repository=job.repository if job else payload.get("repository"),
        thread_kind=thread.kind if thread else None,
        thread_number=thread.number if thread else None,
        url=_harmless_url(thread.url) if thread else None,
        delivery=event.delivery or (job.delivery_id if job else None),
        source=payload.get("source") or event.source or source,
    )


def summary_of(notice: Notice, mask: Mask) -> str:
    """Return the line that tells an event."""
    verb = _VERBS.get(notice.type, notice.type.partition(".")[2])
    reason = f": {notice.reason}" if notice.reason else ""
    return plain_line(f"{notice.subject} {verb}{reason}", mask, SUMMARY_MAX)


def fill_in(words: tuple[str, ...], notice: Notice, mask: Mask) -> list[str]:
    """Return the arguments of a command with the placeholders replaced; what a notice does not have is empty."""
    values = {
        "summary": summary_of(notice, mask),
        "type": notice.type,
        "event": str(notice.event),
        "time": format_timestamp(notice.at),
        "workspace": notice.workspace or "",
        "job": notice.job or "",
        "repository": notice.repository or "",
        "url": notice.url or "",
        "source": notice.source or "",
    }
    return [PLACEHOLDER.sub(lambda found: values[found[1]], word) for word in words]


def body_of(notice: Notice, mask: Mask) -> bytes:
    """Return the body of the webhook that tells an event, in the form that Standard Webhooks recommends."""
    has_thread = notice.thread_number is not None
    data = {
        "summary": summary_of(notice, mask),
        "eventId": notice.event,
        "workspaceId": notice.workspace,
        "jobId": notice.job,
        "jobType": notice.job_type,
        "attempt": notice.attempt,
        "repository": notice.repository,
        "thread": {"kind": notice.thread_kind, "number": notice.thread_number} if has_thread else None,
        "url": notice.url,
        "deliveryId": notice.delivery,
        "source": notice.source,
        "reason": plain_line(notice.reason, mask, SUMMARY_MAX) if notice.reason else None,
    }
    return msgspec.json.encode({"type": notice.type, "timestamp": format_timestamp(notice.at), "data": data})


def _subject(event: FollowedEvent, job: RunnerJob | None, payload: dict[str, Any]) -> str:
    if job is not None and not event.type.startswith("answer."):
        thread = f"#{job.thread.number}" if job.thread else ""
        place = f" on {job.repository}{thread}" if job.repository else ""
        return f"{job.type}{place} ({short_id(job.id)})"
    match kind := event.type.partition(".")[0]:
        case "rails":
            return "the rails"
        case "answer":
            return f"{payload.get('slot')} in {payload.get('repository')} at {payload.get('source')}"
        case "account" | "source":
            return f"{kind} {payload.get(kind)}"
        case "daemon":
            return f"{payload.get('role')} {payload.get('name')}"
    return f"delivery {short_id(event.delivery or '')} from {event.source}"


def _reason(event: FollowedEvent, payload: dict[str, Any]) -> str | None:
    """Return what there is to add to an event, from the fields that its type has."""
    if event.type in _REASONS:
        return _REASONS[event.type].format_map(defaultdict(str, payload))
    if event.type == "job.waiting":
        guards = ", ".join(payload.get("guards", ()))
        return "; ".join(each for each in (f"required by {guards}", payload.get("reason")) if each)
    return next((str(payload[name]) for name in ("reason", "held", "summary", "name") if payload.get(name)), None)


def _harmless_url(url: str | None) -> str | None:
    """Return the URL of a thread, as its sender gave it, if a browser would open it as a page and nothing else."""
    if url is None or not url.startswith(("https://", "http://")) or len(url) > URL_MAX:
        return None
    return url if url.isascii() and url.isprintable() and " " not in url else None
