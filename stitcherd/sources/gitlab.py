"""Webhooks of GitLab, with a plain token or signed by Standard Webhooks."""

import hmac
import re
from collections.abc import Iterable, Mapping, Sequence

from msgspec import UNSET
from msgspec.json import Decoder
from msgspec.structs import replace

from shared.models import Thread
from stitcherd.sources import signatures
from stitcherd.sources.base import BadSignature, Source, WrongShape
from stitcherd.sources.gitlab_payload import (
    GitlabAttributes,
    GitlabEnvelope,
    GitlabPayload,
    GitlabThread,
    GitlabUser,
    added_users,
    event_name,
    is_new_note,
    label_titles,
)
from stitcherd.sources.payload import JSON, decode_body, scrub
from stitcherd.sources.signatures import delivery_id_reader
from stitcherd.sources.text import COMMAND_EVENTS, bot_text_reason, parse_commands, qualified_account, safe_url
from stitcherd.sources.trigger import Quote, Trigger

# merged from stitcherd.sources.gitlab_topic: What a GitLab event is about: its issue or merge request, and
# who wrote what.

_THREAD_FIELDS = {"Issue": "issue", "MergeRequest": "merge_request"}  # of a note, by what it is on


def _complete_trigger(trigger: Trigger, seen: GitlabPayload, attributes: GitlabAttributes, bot: str | None) -> Trigger:
    """Return a trigger with all that the body says besides its name, sender and repository.

    Who wrote something is `source:#number` where the body does not say whose number that is: somebody, but nobody
    whom rails name. Raises WrongShape.
    """
    kind, topic = _find_thread(seen, attributes)
    if topic is None:
        sha = attributes.sha or seen.sha or seen.after
        return replace(trigger, head_sha=sha if sha and sha.strip("0") else None)  # a deleted branch: zeros
    if topic.iid is UNSET:
        raise WrongShape(f"$.{'object_attributes' if topic is attributes else kind}.iid: missing")
    source, name = trigger.source, trigger.name
    known = _known_accounts(trigger, seen, attributes)
    writer = author = _account_of_id(source, topic.author_id, known)
    if topic is not attributes:  # a note
        author = trigger.sender if attributes.author_id is None else _account_of_id(source, attributes.author_id, known)
    elif name == "change.review":  # it has no text of its own, and that of the change is not new
        author = trigger.sender
    texts = ((writer, "title", topic.title), (writer, "body", topic.description), (author, "comment", attributes.note))
    change = kind == "merge_request"
    return replace(
        trigger,
        refused=bot_text_reason(name, bot, trigger.sender, author),
        author=author,
        thread=Thread("change" if change else "issue", topic.iid, topic.title or "", safe_url(topic.url), writer),
        labels=label_titles(seen.labels or topic.labels),
        assignees=_accounts(source, _assigned(name, seen)),
        reviewers=_accounts(source, _requested_reviewers(name, seen)),
        commands=parse_commands(attributes.note or "", bot) if name in COMMAND_EVENTS else (),
        quotes=tuple(Quote(account, part, text) for account, part, text in texts if text),
        from_fork=_from_fork(topic) if change else None,
        ref=topic.target_branch,
        head_sha=topic.last_commit.id if topic.last_commit else None,
    )


def _find_thread(seen: GitlabPayload, attributes: GitlabAttributes) -> tuple[str, GitlabThread | None]:
    if seen.object_kind in {"issue", "merge_request"}:
        return seen.object_kind, attributes
    field = _THREAD_FIELDS.get(attributes.noteable_type or "") if seen.object_kind == "note" else None
    if field is None:
        return seen.object_kind, None
    topic = seen.issue if field == "issue" else seen.merge_request
    if topic is None:
        raise WrongShape(f"$.{field}: missing")
    return field, topic


def _known_accounts(
    trigger: Trigger, seen: GitlabPayload, attributes: GitlabAttributes
) -> dict[int | None, str | None]:
    """Return the accounts whose numbers the body tells; whoever just made something is its author."""
    people = (seen.user, seen.assignee, *(seen.assignees or ()), *(seen.reviewers or ()))
    known: dict[int | None, str | None] = {
        user.id: qualified_account(trigger.source, user.username) for user in people if user and user.id is not None
    }
    made = attributes.action == "open" or (seen.object_kind == "note" and is_new_note(attributes))
    if made and seen.user and seen.user.id is None:
        known.setdefault(attributes.author_id, trigger.sender)
    return known


def _account_of_id(source: str, number: int | None, known: dict[int | None, str | None]) -> str | None:
    nameless = None if number is None else f"{source}:#{number}"
    return known.get(number, nameless)


def _assigned(name: str | None, seen: GitlabPayload) -> Iterable[GitlabUser | None]:
    if name == "issue.opened":  # who is assigned to a new issue is told with it, and not once more
        return seen.assignees or (seen.assignee,)
    return added_users(seen.changes.assignees) if name == "issue.assigned" and seen.changes else ()


def _requested_reviewers(name: str | None, seen: GitlabPayload) -> Iterable[GitlabUser | None]:
    if name == "change.opened":
        return seen.reviewers or ()
    return added_users(seen.changes.reviewers) if name == "change.review_requested" and seen.changes else ()


def _accounts(source: str, users: Iterable[GitlabUser | None]) -> tuple[str, ...]:
    accounts = (qualified_account(source, user.username) for user in users if user)
    return tuple(account for account in accounts if account)


def _from_fork(change: GitlabThread) -> bool:
    """Say whether a change comes from another project; one that is gone was a fork."""
    return change.source_project_id is None or change.source_project_id != change.target_project_id


TOKEN_HEADER = "X-Gitlab-Token"  # noqa: S105 (a header's name)
CONFIDENTIAL_REASON = "confidential: none of its text may reach an agent"

# An event, and the fields of its body that it cannot be without.
_REQUIRED_FIELDS: Mapping[str, tuple[str, ...]] = {
    "issue": ("object_attributes",),
    "merge_request": ("object_attributes",),
    "note": ("object_attributes",),
    "pipeline": ("object_attributes",),
    "build": (),
    "push": (),
    "tag_push": (),
}
_HOOK = re.compile(r"[A-Za-z][A-Za-z ]{0,99}")
_BODY = Decoder(GitlabPayload)
_ENVELOPE = Decoder(GitlabEnvelope)


def verify(headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now: int = 0, /) -> int:
    """Return which secret matched, from 1; see `Verify`. Where there is a signature, the token counts for nothing."""
    if signatures.STANDARD_SIGNATURE in headers:
        return signatures.verify_standard(headers, body, secrets, now)
    if TOKEN_HEADER not in headers:
        raise BadSignature(f"{TOKEN_HEADER} is missing")
    try:
        claim = headers[TOKEN_HEADER].encode(
            errors="surrogateescape"
        )  # the bytes as they came: a token need not be ASCII
    except UnicodeEncodeError:
        claim = b""
    for number, secret in enumerate(secrets, start=1):
        if secret and hmac.compare_digest(claim, secret):
            return number
    raise BadSignature(f"{TOKEN_HEADER} matches no secret")


def parse(headers: Mapping[str, str], body: bytes, /, *, source: str, bot: str | None, form: bool = False) -> Trigger:
    """Return what a delivery of GitLab says; see `Parse`. Of a confidential one, no more than whence it came."""
    hook = headers.get("X-Gitlab-Event", "")
    if not _HOOK.fullmatch(hook):
        raise WrongShape("X-Gitlab-Event: expected the name of an event")
    envelope = decode_body(_ENVELOPE, body, form=form)
    sender = envelope.user.username if envelope.user else envelope.user_username
    trigger = Trigger(
        source=source,
        event=envelope.object_kind,
        sender=qualified_account(source, sender),
        repository=envelope.project.path_with_namespace if envelope.project else None,
    )
    needs = _REQUIRED_FIELDS.get(envelope.object_kind)
    if needs is None:
        return replace(trigger, refused=CONFIDENTIAL_REASON) if _is_confidential(hook, envelope) else trigger
    seen = decode_body(_BODY, body, form=form)
    for field in needs:
        if getattr(seen, field) is None:
            raise WrongShape(f"$.{field}: missing")
    attributes = seen.object_attributes or GitlabAttributes()
    trigger = replace(trigger, action=attributes.action)
    marks = (attributes.confidential, attributes.internal, seen.issue and seen.issue.confidential)
    if any(marks) or _is_confidential(hook, envelope):
        return replace(trigger, refused=CONFIDENTIAL_REASON)
    return _complete_trigger(replace(trigger, name=event_name(seen, attributes)), seen, attributes, bot)


def _is_confidential(hook: str, envelope: GitlabEnvelope) -> bool:
    """Say whether an event is called confidential; old versions say so in the header alone."""
    return any(word.lower().startswith("confidential") for word in (hook, envelope.event_type or ""))


SOURCE = Source(
    kind="gitlab",
    verify=verify,
    parse=parse,
    external_id=delivery_id_reader("Idempotency-Key", signatures.STANDARD_ID),
    scrub=scrub,
    id_is_signed=False,
    body_window=None,
    kept_headers=(
        "Content-Type",
        "User-Agent",
        "Idempotency-Key",
        "X-Gitlab-Event",
        "X-Gitlab-Event-UUID",
        "X-Gitlab-Instance",
        "X-Gitlab-Webhook-UUID",
        signatures.STANDARD_ID,
        signatures.STANDARD_TIMESTAMP,
    ),
    content_types=frozenset({JSON}),
)
