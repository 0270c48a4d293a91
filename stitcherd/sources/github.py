"""Webhooks of GitHub: JSON or form, signed with HMAC-SHA256 over the raw body."""

from collections.abc import Mapping

from msgspec.json import Decoder

from stitcherd.sources.base import MISSING, Source, merge_faults, require_readable
from stitcherd.sources.github_payload import (
    GithubEnvelope,
    GithubPayload,
    build_trigger,
    hidden_names,
    missing_fields,
    unnamed_trigger,
)
from stitcherd.sources.payload import FORM, JSON, decode_body, scrub
from stitcherd.sources.signatures import delivery_id_reader, hmac_verifier
from stitcherd.sources.trigger import Trigger

_REQUIRED_FIELDS: Mapping[str, tuple[str, ...]] = {
    "issues": ("issue",),
    "issue_comment": ("issue", "comment"),
    "pull_request": ("pull_request",),
    "pull_request_review": ("pull_request", "review"),
    "pull_request_review_comment": ("pull_request", "comment"),
    "push": ("ref",),
    "check_run": ("check_run",),
    "check_suite": ("check_suite",),
    "workflow_run": ("workflow_run",),
    "status": ("sha",),
}
_EVENT_NAMES: Mapping[tuple[str, str | None], str] = {
    ("issues", "opened"): "issue.opened",
    ("issues", "assigned"): "issue.assigned",
    ("issues", "labeled"): "issue.labeled",
    ("issue_comment", "created"): "issue.comment",
    ("pull_request", "opened"): "change.opened",
    ("pull_request", "reopened"): "change.opened",
    ("pull_request", "ready_for_review"): "change.opened",
    ("pull_request", "synchronize"): "change.updated",
    ("pull_request", "labeled"): "change.labeled",
    ("pull_request", "review_requested"): "change.review_requested",
    ("pull_request_review", "submitted"): "change.review",
    ("pull_request_review_comment", "created"): "change.review_comment",
    ("push", None): "push",
    ("check_run", "completed"): "check.completed",
    ("check_suite", "completed"): "check.completed",
    ("workflow_run", "completed"): "check.completed",
    ("status", None): "check.completed",
}

_EVENT_HEADER = "X-GitHub-Event"
_payload_decoder = Decoder(GithubPayload)
_envelope_decoder = Decoder(GithubEnvelope)


def parse(headers: Mapping[str, str], body: bytes, /, *, source: str, bot: str | None, form: bool = False) -> Trigger:
    """Return the trigger of a GitHub delivery; see `Parse`."""
    event = headers.get(_EVENT_HEADER, "")
    if event not in _REQUIRED_FIELDS:
        envelope = decode_body(_envelope_decoder, body, form=form).payload
        trigger = unnamed_trigger(envelope, event, source=source, unusable="ping" if event == "ping" else None)
        return trigger if event else require_readable(trigger, {_EVENT_HEADER: MISSING}, _EVENT_NAMES.values())
    decoded = decode_body(_payload_decoder, body, form=form)
    payload = decoded.payload
    faults = merge_faults(decoded.faults, missing_fields(payload, _REQUIRED_FIELDS[event]))
    name = _EVENT_NAMES.get((event, payload.action))
    trigger = build_trigger(payload, event, name, source=source, bot=bot, assigned=[payload.assignee])
    return require_readable(trigger, faults, hidden_names(_EVENT_NAMES, event, trigger.name, faults))


SOURCE = Source(
    kind="github",
    verify=hmac_verifier("X-Hub-Signature-256", prefix="sha256="),
    parse=parse,
    external_id=delivery_id_reader("X-GitHub-Delivery"),
    scrub=scrub,
    id_is_signed=False,
    body_window=None,
    kept_headers=(
        "Content-Type",
        "User-Agent",
        "X-GitHub-Delivery",
        "X-GitHub-Event",
        "X-GitHub-Hook-ID",
        "X-GitHub-Hook-Installation-Target-ID",
        "X-GitHub-Hook-Installation-Target-Type",
    ),
    content_types=frozenset({JSON, FORM}),
    change_ref="refs/pull/{number}/head",
    hook_header="X-GitHub-Hook-ID",
)
