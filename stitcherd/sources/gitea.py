"""Webhooks of Gitea and Forgejo: JSON or form, signed with HMAC-SHA256 over the JSON.

Payloads: go-gitea/gitea, modules/structs/hook.go. They are those of GitHub, except that old versions lack `is_pull`, a
pull request may have its number only beside it, and a review names neither its author nor its time.
"""

import re
from collections.abc import Mapping, Sequence

from msgspec import UNSET, Struct, field
from msgspec.json import Decoder
from msgspec.structs import replace

from stitcherd.sources.base import MISSING, BadSignature, Source, WrongShape, merge_faults, require_readable
from stitcherd.sources.fields import Sha, ThreadNumber
from stitcherd.sources.github_payload import (
    GithubComment,
    GithubEnvelope,
    GithubMarker,
    GithubPayload,
    GithubRun,
    GithubThread,
    GithubUser,
    build_trigger,
    hidden_names,
    missing_fields,
    unnamed_trigger,
)
from stitcherd.sources.payload import FORM, JSON, decode_body, encode_form, read_form_payload, scrub
from stitcherd.sources.signatures import delivery_id_reader, hmac_verifier
from stitcherd.sources.trigger import Trigger

# From the most specific to the least; not all versions send all of them.
_EVENT_HEADERS = ("X-Gitea-Event-Type", "X-Forgejo-Event-Type", "X-Gitea-Event", "X-Forgejo-Event")
_EVENT_FAMILIES: Mapping[str, tuple[str, ...]] = {
    "issues": ("issues", "issue_assign", "issue_label", "issue_milestone"),
    "comment": ("issue_comment", "pull_request_comment"),  # the latter also stands for a review
    "change": (
        "pull_request",
        "pull_request_assign",
        "pull_request_label",
        "pull_request_milestone",
        "pull_request_sync",
        "pull_request_review_request",
    ),
    "review": (
        "pull_request_review_approved",
        "pull_request_review_rejected",
        "pull_request_review_comment",
        "pull_request_approved",
        "pull_request_rejected",
    ),
    "push": ("push",),
    "status": ("status",),
    "run": ("workflow_run",),
}
_FAMILY_OF = {event: family for family, events in _EVENT_FAMILIES.items() for event in events}
_REQUIRED_FIELDS: Mapping[str, tuple[str, ...]] = {
    "issues": ("issue",),
    "comment": ("issue", "comment"),
    "change": ("pull_request",),
    "review": ("pull_request", "review"),
    "push": ("ref",),
    "status": ("sha",),
    "run": ("workflow_run",),
}
_EVENT_NAMES: Mapping[tuple[str, str | None], str] = {
    ("issues", "opened"): "issue.opened",
    ("issues", "assigned"): "issue.assigned",
    ("issues", "label_updated"): "issue.labeled",
    ("comment", "created"): "issue.comment",
    ("change", "opened"): "change.opened",
    ("change", "reopened"): "change.opened",
    ("change", "synchronized"): "change.updated",
    ("change", "label_updated"): "change.labeled",
    ("change", "review_requested"): "change.review_requested",
    ("review", "reviewed"): "change.review",
    ("push", None): "push",
    ("status", None): "check.completed",
    ("run", "completed"): "check.completed",
}


class GiteaThread(GithubThread, frozen=True):
    """An issue or a pull request, with its assignees."""

    is_locked: bool | None = None
    assignee: GithubUser | None = None
    assignees: tuple[GithubUser | None, ...] | None = None

    @property
    def assigned(self) -> tuple[GithubUser | None, ...]:
        """Return all assignees; the payload does not say which are new."""
        return self.assignees or (self.assignee,)


class GiteaTitleChange(Struct, frozen=True):
    """The title before an edit."""

    before: str | None = field(default=None, name="from")


class GiteaChanges(Struct, frozen=True):
    """What an edit changed."""

    title: GiteaTitleChange | None = None


class GiteaReview(Struct, frozen=True):
    """A review of a change."""

    text: str | None = field(default=None, name="content")


class GiteaPayload(GithubEnvelope, frozen=True):
    """The fields of the events that rails can refer to."""

    number: ThreadNumber | None = None
    is_pull: bool | None = None
    issue: GiteaThread | None = None
    pull_request: GiteaThread | None = None
    comment: GithubComment | None = None
    review: GiteaReview | None = None
    requested_reviewer: GithubUser | None = None
    changes: GiteaChanges | None = None
    ref: str | None = None
    after: Sha | None = None
    workflow_run: GithubRun | None = None
    sha: Sha | None = None
    state: str | None = None


_DRAFT_TITLE = re.compile(r"\[wip\]|wip:", re.IGNORECASE | re.ASCII)  # what app.ini has unless it is changed
_payload_decoder = Decoder(GiteaPayload)
_envelope_decoder = Decoder(GithubEnvelope)
_verify_json = hmac_verifier("X-Gitea-Signature", "X-Forgejo-Signature")


def verify(headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now: int = 0, /) -> int:
    """Return the number of the secret that matched, from 1; see `Verify`.

    The signature does not cover the form around the JSON, so only Gitea's own encoding is accepted: any other form
    with the same JSON would be the same delivery in other bytes, and not be recognised as a duplicate.
    """
    if headers.get("Content-Type", "").partition(";")[0].strip().lower() != FORM:
        return _verify_json(headers, body, secrets, now)
    try:
        payload = read_form_payload(body)
    except WrongShape:
        raise BadSignature("X-Gitea-Signature is for a payload that is missing in the form") from None
    number = _verify_json(headers, payload, secrets, now)
    if encode_form(payload) != body:
        raise BadSignature("X-Gitea-Signature covers the payload alone, and the form has more")
    return number


def parse(headers: Mapping[str, str], body: bytes, /, *, source: str, bot: str | None, form: bool = False) -> Trigger:
    """Return the trigger of a Gitea or Forgejo delivery; see `Parse`. All assignees count as just assigned."""
    event = next(filter(None, (headers.get(name) for name in _EVENT_HEADERS)), "")
    family = _FAMILY_OF.get(event)
    if family is None:
        trigger = unnamed_trigger(decode_body(_envelope_decoder, body, form=form).payload, event, source=source)
        return trigger if event else require_readable(trigger, {"X-Gitea-Event": MISSING}, _EVENT_NAMES.values())
    decoded = decode_body(_payload_decoder, body, form=form)
    original = decoded.payload
    if family == "comment" and original.action == "reviewed":
        family = "review"
    payload = _to_github(original)
    faults = merge_faults(decoded.faults, missing_fields(payload, _REQUIRED_FIELDS[family]))
    assigned = original.issue.assigned if original.issue else ()
    name = _EVENT_NAMES.get((family, payload.action))
    if family == "change" and payload.action == "edited" and _became_ready(original):
        name = "change.opened"
    trigger = build_trigger(payload, event, name, source=source, bot=bot, assigned=assigned)
    return require_readable(trigger, faults, hidden_names(_EVENT_NAMES, family, trigger.name, faults))


def _became_ready(payload: GiteaPayload) -> bool:
    """Return whether an edit of its title made a draft ready for review."""
    title = payload.changes.title if payload.changes else None
    change = payload.pull_request
    was_draft = title is not None and _has_draft_title(title.before)
    return was_draft and change is not None and not _is_draft(change)


def _is_draft(thread: GiteaThread) -> bool | None:
    """Return whether a change is a draft; old versions do not say, and a draft is one by its title."""
    marked = thread.draft if thread.pull_request is None else thread.pull_request.draft
    return _has_draft_title(thread.title) or None if marked is None else marked


def _has_draft_title(title: str | None) -> bool:
    return title is not None and _DRAFT_TITLE.match(title) is not None


def _to_github(payload: GiteaPayload) -> GithubPayload:
    """Convert a payload to GitHub's format."""
    issue, change = payload.issue, payload.pull_request
    if issue and payload.is_pull:
        issue = replace(issue, pull_request=issue.pull_request or GithubMarker())
    if issue:
        issue = replace(issue, draft=_is_draft(issue), locked=issue.is_locked)
    if change and change.number is UNSET and payload.number is not None:
        change = replace(change, number=payload.number)
    if change:
        change = replace(change, draft=_is_draft(change), locked=change.is_locked)
    return GithubPayload(
        action=payload.action,
        sender=payload.sender,
        repository=payload.repository,
        issue=issue,
        pull_request=change,
        comment=payload.comment,
        review=GithubComment(payload.review.text, payload.sender) if payload.review else None,
        requested_reviewer=payload.requested_reviewer,
        ref=payload.ref,
        after=payload.after,
        workflow_run=payload.workflow_run,
        sha=payload.sha,
        state=payload.state,
    )


SOURCE = Source(
    kind="gitea",
    verify=verify,
    parse=parse,
    external_id=delivery_id_reader("X-Gitea-Delivery", "X-Forgejo-Delivery"),
    scrub=scrub,
    id_is_signed=False,
    body_window=None,
    kept_headers=("Content-Type", "User-Agent", "X-Gitea-Delivery", "X-Forgejo-Delivery", *_EVENT_HEADERS),
    content_types=frozenset({JSON, FORM}),
    change_ref="refs/pull/{number}/head",
)
