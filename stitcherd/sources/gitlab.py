"""Webhooks of GitLab: JSON, with a plain token or a Standard Webhooks signature."""

import hmac
import re
from collections.abc import Iterable, Mapping, Sequence

from msgspec import UNSET
from msgspec.json import Decoder
from msgspec.structs import replace

from shared.models import Thread
from stitcherd.sources import standard
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
from stitcherd.sources.hidden_text import TITLE, quote_texts
from stitcherd.sources.payload import JSON, decode_body, scrub
from stitcherd.sources.signatures import delivery_id_reader
from stitcherd.sources.text import (
    COMMAND_EVENTS,
    bot_text_reason,
    ids_by_account,
    parse_commands,
    qualified_account,
    safe_url,
)
from stitcherd.sources.trigger import Trigger

_THREAD_FIELDS = {"Issue": "issue", "MergeRequest": "merge_request"}  # of a note, by its noteable type


TOKEN_HEADER = "X-Gitlab-Token"  # noqa: S105 (a header's name)
CONFIDENTIAL_REASON = "confidential: none of its text may reach an agent"

_REQUIRED_FIELDS: Mapping[str, tuple[str, ...]] = {
    "issue": ("object_attributes",),
    "merge_request": ("object_attributes",),
    "note": ("object_attributes",),
    "pipeline": ("object_attributes",),
    "build": (),
    "push": (),
    "tag_push": (),
}
_HOOK_PATTERN = re.compile(r"[A-Za-z][A-Za-z ]{0,99}")
_payload_decoder = Decoder(GitlabPayload)
_envelope_decoder = Decoder(GitlabEnvelope)


def verify(headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now: int = 0, /) -> int:
    """Return the number of the secret that matched, from 1; see `Verify`. A signature makes the token irrelevant."""
    if standard.SIGNATURE_HEADER in headers:
        return standard.verify(headers, body, secrets, now)
    if TOKEN_HEADER not in headers:
        raise BadSignature(f"{TOKEN_HEADER} is missing")
    try:
        given = headers[TOKEN_HEADER].encode(errors="surrogateescape")  # as received: a token need not be ASCII
    except UnicodeEncodeError:
        given = b""
    for number, secret in enumerate(secrets, start=1):
        if secret and hmac.compare_digest(given, secret):
            return number
    raise BadSignature(f"{TOKEN_HEADER} matches no secret")


def parse(headers: Mapping[str, str], body: bytes, /, *, source: str, bot: str | None, form: bool = False) -> Trigger:
    """Return the trigger of a GitLab delivery; see `Parse`. That of a confidential one has no text and no thread."""
    hook = headers.get("X-Gitlab-Event", "")
    if not _HOOK_PATTERN.fullmatch(hook):
        raise WrongShape("X-Gitlab-Event: expected the name of an event")
    envelope = decode_body(_envelope_decoder, body, form=form)
    sender = envelope.user or GitlabUser(id=envelope.user_id, username=envelope.user_username)
    account = qualified_account(source, sender.username)
    trigger = Trigger(
        source=source,
        event=envelope.object_kind,
        sender=account,
        account_ids=ids_by_account([(account, sender.id)]),
        repository=envelope.project.path_with_namespace if envelope.project else None,
    )
    required = _REQUIRED_FIELDS.get(envelope.object_kind)
    if required is None:
        return replace(trigger, unusable=CONFIDENTIAL_REASON) if _is_confidential(hook, envelope) else trigger
    payload = decode_body(_payload_decoder, body, form=form)
    for field in required:
        if getattr(payload, field) is None:
            raise WrongShape(f"$.{field}: missing")
    attributes = payload.object_attributes or GitlabAttributes()
    trigger = replace(trigger, action=attributes.action)
    flags = (attributes.confidential, attributes.internal, payload.issue and payload.issue.confidential)
    if any(flags) or _is_confidential(hook, envelope):
        return replace(trigger, unusable=CONFIDENTIAL_REASON)
    return _complete_trigger(replace(trigger, name=event_name(payload, attributes)), payload, attributes, bot)


def _is_confidential(hook: str, envelope: GitlabEnvelope) -> bool:
    """Return whether an event is marked confidential; old versions do so in the header alone."""
    return any(word.lower().startswith("confidential") for word in (hook, envelope.event_type or ""))


def _complete_trigger(
    trigger: Trigger, payload: GitlabPayload, attributes: GitlabAttributes, bot: str | None
) -> Trigger:
    """Return the trigger with its thread, people, text and commit.

    An author of whom the payload has only the id is written `source:#id`, which no rails can name. Raises WrongShape.
    """
    kind, thread = _find_thread(payload, attributes)
    if thread is None:
        sha = attributes.sha or payload.sha or payload.after
        return replace(trigger, head_sha=sha if sha and sha.strip("0") else None)  # zeros: the branch was deleted
    if thread.iid is UNSET:
        raise WrongShape(f"$.{'object_attributes' if thread is attributes else kind}.iid: missing")
    source, name = trigger.source, trigger.name
    accounts = _known_accounts(trigger, payload, attributes)
    thread_author = author = _account_of_id(source, thread.author_id, accounts)
    if thread is not attributes:  # a note
        author = _account_of_id(source, attributes.author_id, accounts)
    elif name == "change.review":  # it has no text of its own
        author = trigger.sender
    texts = quote_texts(
        (
            (thread_author, TITLE, thread.title),
            (thread_author, "body", thread.description),
            (author, "comment", attributes.note),
        )
    )
    change = kind == "merge_request"
    return replace(
        trigger,
        unusable=bot_text_reason(name, bot, trigger.sender, author),
        author=author,
        account_ids=_ids(trigger, (thread_author, author), accounts),
        thread=Thread("change" if change else "issue", thread.iid, texts.title, safe_url(thread.url), thread_author),
        labels=label_titles(payload.labels or thread.labels),
        assignees=_accounts(source, _assigned(name, payload)),
        reviewers=_accounts(source, _requested_reviewers(name, payload)),
        commands=parse_commands(attributes.note or "", bot) if name in COMMAND_EVENTS else (),
        quotes=texts.quotes,
        hidden=texts.hidden,
        from_fork=_from_fork(thread) if change else None,
        ref=thread.target_branch,
        head_sha=thread.last_commit.id if thread.last_commit else None,
    )


def _find_thread(payload: GitlabPayload, attributes: GitlabAttributes) -> tuple[str, GitlabThread | None]:
    if payload.object_kind in {"issue", "merge_request"}:
        return payload.object_kind, attributes
    field = _THREAD_FIELDS.get(attributes.noteable_type or "") if payload.object_kind == "note" else None
    if field is None:
        return payload.object_kind, None
    thread = payload.issue if field == "issue" else payload.merge_request
    if thread is None:
        raise WrongShape(f"$.{field}: missing")
    return field, thread


def _known_accounts(
    trigger: Trigger, payload: GitlabPayload, attributes: GitlabAttributes
) -> dict[int | None, str | None]:
    """Return the accounts in the payload by id; the sender is the author of what was just created."""
    users = (payload.user, payload.assignee, *(payload.assignees or ()), *(payload.reviewers or ()))
    accounts: dict[int | None, str | None] = {
        user.id: qualified_account(trigger.source, user.username) for user in users if user and user.id is not None
    }
    created = attributes.action == "open" or (payload.object_kind == "note" and is_new_note(attributes))
    if created and payload.user and payload.user.id is None:
        accounts.setdefault(attributes.author_id, trigger.sender)
    return accounts


def _ids(
    trigger: Trigger, authors: Iterable[str | None], accounts: dict[int | None, str | None]
) -> dict[str, tuple[str, ...]]:
    """Return the ids of the sender and of the authors, as `Trigger.account_ids`."""
    people = {trigger.sender, *authors}
    return ids_by_account((account, user_id) for user_id, account in accounts.items() if account in people)


def _account_of_id(source: str, user_id: int | None, accounts: dict[int | None, str | None]) -> str | None:
    unknown = None if user_id is None else f"{source}:#{user_id}"
    return accounts.get(user_id, unknown)


def _assigned(name: str | None, payload: GitlabPayload) -> Iterable[GitlabUser | None]:
    if name == "issue.opened":  # no separate event follows for its assignees
        return payload.assignees or (payload.assignee,)
    return added_users(payload.changes.assignees) if name == "issue.assigned" and payload.changes else ()


def _requested_reviewers(name: str | None, payload: GitlabPayload) -> Iterable[GitlabUser | None]:
    if name == "change.opened":
        return payload.reviewers or ()
    return added_users(payload.changes.reviewers) if name == "change.review_requested" and payload.changes else ()


def _accounts(source: str, users: Iterable[GitlabUser | None]) -> tuple[str, ...]:
    accounts = (qualified_account(source, user.username) for user in users if user)
    return tuple(account for account in accounts if account)


def _from_fork(change: GitlabThread) -> bool:
    """Return whether a change comes from another project; a deleted one was a fork."""
    return change.source_project_id is None or change.source_project_id != change.target_project_id


SOURCE = Source(
    kind="gitlab",
    verify=verify,
    parse=parse,
    external_id=delivery_id_reader("Idempotency-Key", standard.ID_HEADER),
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
        standard.ID_HEADER,
        standard.TIMESTAMP_HEADER,
    ),
    content_types=frozenset({JSON}),
)
