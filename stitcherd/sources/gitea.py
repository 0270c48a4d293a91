"""Webhooks of Gitea and Forgejo, signed with HMAC-SHA256 over the JSON, even where that comes in a form."""

import re
from collections.abc import Mapping, Sequence

from msgspec.json import Decoder

from stitcherd.sources.body import FORM, JSON, decode, form_of, payload_of, scrub
from stitcherd.sources.gitea_body import Body, as_github
from stitcherd.sources.github_body import Envelope
from stitcherd.sources.github_shape import named, require, unnamed
from stitcherd.sources.headers import hmac_sha256, id_from
from stitcherd.sources.source import BadSignature, Source, WrongShape
from stitcherd.trigger import Trigger

# The fine word of an event and the coarse one go by the same names, and are not always both there.
_EVENT_HEADERS = ("X-Gitea-Event-Type", "X-Forgejo-Event-Type", "X-Gitea-Event", "X-Forgejo-Event")
_FAMILIES: Mapping[str, tuple[str, ...]] = {
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
_FAMILY_OF = {word: family for family, words in _FAMILIES.items() for word in words}
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "issues": ("issue",),
    "comment": ("issue", "comment"),
    "change": ("pull_request",),
    "review": ("pull_request", "review"),
    "push": ("ref",),
    "status": ("sha",),
    "run": ("workflow_run",),
}
_NAMES: Mapping[tuple[str, str | None], str] = {
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
_BODY = Decoder(Body)
_ENVELOPE = Decoder(Envelope)
_matching = hmac_sha256("X-Gitea-Signature", "X-Forgejo-Signature")


def verify(headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now: int = 0, /) -> int:
    """Return which secret matched, from 1; see `Verify`.

    The signature says nothing of the form around the JSON, so that only the one form is taken that Gitea makes:
    any other, with the same JSON in it, would be the same delivery in other bytes, and no duplicate.
    """
    if headers.get("Content-Type", "").partition(";")[0].strip().lower() != FORM:
        return _matching(headers, body, secrets, now)
    try:
        payload = payload_of(body)
    except WrongShape:
        raise BadSignature("X-Gitea-Signature is for a payload that is not there in the form") from None
    number = _matching(headers, payload, secrets, now)
    if form_of(payload) != body:
        raise BadSignature("X-Gitea-Signature is for the payload alone, and there is more in the form")
    return number


def parse(headers: Mapping[str, str], body: bytes, /, *, source: str, bot: str | None, form: bool = False) -> Trigger:
    """Return what a delivery of Gitea says; see `Parse`. Who was assigned is not said: all who are, count."""
    event = next(filter(None, (headers.get(name) for name in _EVENT_HEADERS)), "")
    if not _EVENT.fullmatch(event):
        raise WrongShape("X-Gitea-Event: expected the name of an event")
    family = _FAMILY_OF.get(event)
    if family is None:
        return unnamed(decode(_ENVELOPE, body, form=form), event, source=source)
    theirs = decode(_BODY, body, form=form)
    if family == "comment" and theirs.action == "reviewed":
        family = "review"
    seen = as_github(theirs)
    require(seen, _NEEDS[family])
    assigned = theirs.issue.assigned if theirs.issue else ()
    return named(seen, event, _NAMES.get((family, seen.action)), source=source, bot=bot, assigned=assigned)


SOURCE = Source(
    kind="gitea",
    verify=verify,
    parse=parse,
    external_id=id_from("X-Gitea-Delivery", "X-Forgejo-Delivery"),
    scrub=scrub,
    id_is_signed=False,
    body_window=None,
    kept_headers=("Content-Type", "User-Agent", "X-Gitea-Delivery", "X-Forgejo-Delivery", *_EVENT_HEADERS),
    content_types=frozenset({JSON, FORM}),
)
