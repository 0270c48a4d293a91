"""Webhooks of Gitea and Forgejo, signed with HMAC-SHA256 over the JSON, even where that comes in a form."""

import re
from collections.abc import Mapping, Sequence

from msgspec import UNSET, Struct, field
from msgspec.json import Decoder
from msgspec.structs import replace

from stitcherd.sources import github_payload
from stitcherd.sources.base import BadSignature, Source, WrongShape
from stitcherd.sources.github_payload import (
    GithubComment,
    GithubEnvelope,
    GithubMarker,
    GithubRun,
    GithubUser,
    build_trigger,
    require_fields,
    unnamed_trigger,
)
from stitcherd.sources.payload import FORM, JSON, decode_body, encode_form, payload_of_form, scrub
from stitcherd.sources.signatures import delivery_id_reader, hmac_verifier
from stitcherd.sources.text import Sha, ThreadNumber
from stitcherd.sources.trigger import Trigger

# merged from stitcherd.sources.gitea_body: Where a Gitea or Forgejo body differs from GitHub's; all else is
# read as the same. Shapes: go-gitea/gitea, modules/structs/hook.go. Old versions leave out `is_pull`, and a
# pull request may have its number only beside it; a review says neither who wrote it nor when.


class GiteaThread(github_payload.GithubThread, frozen=True):
    """An issue or a pull request, with all who are assigned."""

    assignee: GithubUser | None = None
    assignees: tuple[GithubUser | None, ...] | None = None

    @property
    def assigned(self) -> tuple[GithubUser | None, ...]:
        """All who are assigned: which of them is new is not said."""
        return self.assignees or (self.assignee,)


class GiteaReview(Struct, frozen=True):
    """A review of a change."""

    text: str | None = field(default=None, name="content")


class GiteaPayload(github_payload.GithubEnvelope, frozen=True):
    """What the events have for which there is a word."""

    number: ThreadNumber | None = None
    is_pull: bool | None = None
    issue: GiteaThread | None = None
    pull_request: GiteaThread | None = None
    comment: GithubComment | None = None
    review: GiteaReview | None = None
    requested_reviewer: GithubUser | None = None
    ref: str | None = None
    after: Sha | None = None
    workflow_run: GithubRun | None = None
    sha: Sha | None = None
    state: str | None = None


def as_github(seen: GiteaPayload) -> github_payload.GithubPayload:
    """Return the body as GitHub would have sent it."""
    issue, change = seen.issue, seen.pull_request
    if issue and seen.is_pull:
        issue = replace(issue, pull_request=GithubMarker())
    if change and change.number is UNSET and seen.number is not None:
        change = replace(change, number=seen.number)
    return github_payload.GithubPayload(
        action=seen.action,
        sender=seen.sender,
        repository=seen.repository,
        issue=issue,
        pull_request=change,
        comment=seen.comment,
        review=GithubComment(seen.review.text, seen.sender) if seen.review else None,
        requested_reviewer=seen.requested_reviewer,
        ref=seen.ref,
        after=seen.after,
        workflow_run=seen.workflow_run,
        sha=seen.sha,
        state=seen.state,
    )


# The fine word of an event and the coarse one go by the same names, and are not always both there.
_EVENT_HEADERS = ("X-Gitea-Event-Type", "X-Forgejo-Event-Type", "X-Gitea-Event", "X-Forgejo-Event")
_EVENT_FAMILIES: Mapping[str, tuple[str, ...]] = {
    "issues": ("issues", "issue_assign", "issue_label", "issue_milestone"),
    "comment": ("issue_comment", "pull_request_comment"),  # the latter is also the coarse word of a review
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
_FAMILY_OF = {word: family for family, words in _EVENT_FAMILIES.items() for word in words}
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
    ("change", "synchronized"): "change.updated",
    ("change", "label_updated"): "change.labeled",
    ("change", "review_requested"): "change.review_requested",
    ("review", "reviewed"): "change.review",
    ("push", None): "push",
    ("status", None): "check.completed",
    ("run", "completed"): "check.completed",
}

_EVENT = re.compile(r"[a-z][a-z0-9_]{0,99}")
_BODY = Decoder(GiteaPayload)
_ENVELOPE = Decoder(GithubEnvelope)
_verify_json = hmac_verifier("X-Gitea-Signature", "X-Forgejo-Signature")


def verify(headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now: int = 0, /) -> int:
    """Return which secret matched, from 1; see `Verify`.

    The signature says nothing of the form around the JSON, so that only the one form is taken that Gitea makes:
    any other, with the same JSON in it, would be the same delivery in other bytes, and no duplicate.
    """
    if headers.get("Content-Type", "").partition(";")[0].strip().lower() != FORM:
        return _verify_json(headers, body, secrets, now)
    try:
        payload = payload_of_form(body)
    except WrongShape:
        raise BadSignature("X-Gitea-Signature is for a payload that is not there in the form") from None
    number = _verify_json(headers, payload, secrets, now)
    if encode_form(payload) != body:
        raise BadSignature("X-Gitea-Signature is for the payload alone, and there is more in the form")
    return number


def parse(headers: Mapping[str, str], body: bytes, /, *, source: str, bot: str | None, form: bool = False) -> Trigger:
    """Return what a delivery of Gitea says; see `Parse`. Who was assigned is not said: all who are, count."""
    event = next(filter(None, (headers.get(name) for name in _EVENT_HEADERS)), "")
    if not _EVENT.fullmatch(event):
        raise WrongShape("X-Gitea-Event: expected the name of an event")
    family = _FAMILY_OF.get(event)
    if family is None:
        return unnamed_trigger(decode_body(_ENVELOPE, body, form=form), event, source=source)
    theirs = decode_body(_BODY, body, form=form)
    if family == "comment" and theirs.action == "reviewed":
        family = "review"
    seen = as_github(theirs)
    require_fields(seen, _REQUIRED_FIELDS[family])
    assigned = theirs.issue.assigned if theirs.issue else ()
    return build_trigger(
        seen, event, _EVENT_NAMES.get((family, seen.action)), source=source, bot=bot, assigned=assigned
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
)
