"""Deliveries: the events that forges tell, how each arrived, and the answers to webhooks."""

from enum import StrEnum

from msgspec import UNSET, UnsetType

from shared.models import Decision, Status, Thread, Verdict, WireStruct


class Via(StrEnum):
    """The way by which a delivery arrived."""

    WEBHOOK = "webhook"
    PULL = "pull"
    CATCH_UP = "catch-up"


class Delivery(WireStruct, frozen=True):
    """One event of a source, as it arrived.

    `secret` is the number of the source's secret that matched, from 1; 0 for an event that was asked for, which has no
    signature. `subject` names the event itself: it is the same by whatever way it arrives, and None where the source
    tells nothing that would be.
    """

    id: str
    source: str
    kind: str
    workspace_id: str
    external_id: str | None
    received_at: str
    event: str
    action: str | None
    trigger: str | None
    sender: str | None
    repository: str | None
    thread: Thread | None
    body_bytes: int
    body_sha256: str
    secret: int
    headers: dict[str, str]
    verdict: Verdict
    reason: str
    job_id: str | None
    replay_of: str | None
    subject: str | None
    via: Via
    decision: Decision | UnsetType | None = UNSET


class DeliveryPage(WireStruct, frozen=True):
    """A page of deliveries, newest first."""

    items: tuple[Delivery, ...]
    next: str | None


class WebhookResponse(WireStruct, frozen=True):
    """The answer to a webhook."""

    delivery_id: str
    verdict: Verdict
    job_id: str | None
    status: Status | None
    reason: str


class ReplayResponse(WebhookResponse, frozen=True):
    """The answer to a replay; only a dry run has a `decision`."""

    decision: Decision | UnsetType | None = UNSET
