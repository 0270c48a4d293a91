"""Webhooks of GitLab: JSON, with a plain token or a Standard Webhooks signature."""

import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from msgspec import UNSET
from msgspec.json import Decoder
from msgspec.structs import replace

from shared.models import Thread
from stitcherd.sources import standard
from stitcherd.sources.base import MISSING, BadSignature, Source, merge_faults, require_readable
from stitcherd.sources.fields import action_text, comment_id, commit_id, event_text, is_closed, is_unreadable_login
from stitcherd.sources.gitlab_payload import (
    NAMES_OF_KIND,
    GitlabAttributes,
    GitlabEnvelope,
    GitlabPayload,
    GitlabThread,
    GitlabUser,
    added_labels,
    added_users,
    event_name,
    is_new_note,
    label_titles,
)
from stitcherd.sources.hidden_text import TITLE, quote_texts
from stitcherd.sources.payload import BODY, JSON, Decoded, decode_body, scrub
from stitcherd.sources.signatures import delivery_id_reader
from stitcherd.sources.subjects import event_subject
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

_ATTRIBUTED_KINDS = frozenset({"issue", "merge_request", "note", "pipeline"})
_KIND_FIELDS = frozenset({BODY, "$.object_kind"})
_ACTION_FIELDS = frozenset({"$.object_attributes", "$.object_attributes.action", "$.changes"})
_HOOK_HEADER = "X-Gitlab-Event"
_HOOK_PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9 _-]{0,99}")
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
    hook = headers.get(_HOOK_HEADER, "")
    of_hook = {} if _HOOK_PATTERN.fullmatch(hook) else {_HOOK_HEADER: "expected the name of an event"}
    decoded = decode_body(_envelope_decoder, body, form=form)
    envelope = decoded.payload
    account = qualified_account(source, envelope.sender.username)
    trigger = Trigger(
        source=source,
        event=event_text(envelope.kind or hook),
        unusable=CONFIDENTIAL_REASON if _is_confidential(hook, envelope) else None,
        sender=account,
        unread_login=is_unreadable_login(envelope.sender.username),
        account_ids=ids_by_account([(account, envelope.sender.id)]),
        repository=envelope.project.path_with_namespace if envelope.project else envelope.path_with_namespace,
    )
    if envelope.kind not in NAMES_OF_KIND:
        hidden = () if _KIND_FIELDS.isdisjoint(decoded.faults) else chain.from_iterable(NAMES_OF_KIND.values())
        return require_readable(trigger, decoded.faults, hidden)
    return _parse_known_kind(trigger, decode_body(_payload_decoder, body, form=form), of_hook, bot)


def _parse_known_kind(
    trigger: Trigger, decoded: Decoded[GitlabPayload], of_hook: Mapping[str, str], bot: str | None
) -> Trigger:
    """Return the complete trigger of a kind of event that may have a name; raise WrongShape."""
    payload = decoded.payload
    attributes = payload.object_attributes or GitlabAttributes()
    flags = (attributes.confidential, attributes.internal, payload.issue and payload.issue.confidential)
    unusable = CONFIDENTIAL_REASON if any(flags) else trigger.unusable
    trigger = replace(trigger, action=action_text(attributes.action), unusable=unusable)
    if unusable is not None:
        return trigger
    trigger = replace(trigger, name=event_name(payload, attributes))
    trigger = _complete_trigger(trigger, payload, attributes, bot)
    labels = added_labels(payload.changes.labels) if payload.changes else ()
    trigger = replace(trigger, subject=event_subject(trigger, changed_at=attributes.updated_at, labels=labels))
    faults = {**of_hook, **merge_faults(decoded.faults, _missing_fields(payload, attributes))}
    hidden = () if _ACTION_FIELDS.isdisjoint(faults) else NAMES_OF_KIND[payload.kind or ""]
    return require_readable(trigger, faults, hidden)


def _missing_fields(payload: GitlabPayload, attributes: GitlabAttributes) -> dict[str, str]:
    """Return what the event of a payload needs and does not have, as faults.

    A project may be missing: a job without a repository gets an empty directory.
    """
    kind, thread = _find_thread(payload, attributes)
    missing = {}
    if payload.object_attributes is None and payload.kind in _ATTRIBUTED_KINDS:
        missing["$.object_attributes"] = MISSING
    if thread is None and kind in _THREAD_FIELDS.values():
        missing[f"$.{kind}"] = MISSING
    if thread is not None and thread.iid is UNSET:
        missing[f"$.{'object_attributes' if thread is attributes else kind}.iid"] = MISSING
    return missing


def _is_confidential(hook: str, envelope: GitlabEnvelope) -> bool:
    """Return whether an event is marked confidential; old versions do so in the header alone."""
    return any(word.lower().startswith("confidential") for word in (hook, envelope.event_type or ""))


def _complete_trigger(
    trigger: Trigger, payload: GitlabPayload, attributes: GitlabAttributes, bot: str | None
) -> Trigger:
    """Return the trigger with its thread, people, text and commit.

    An author of whom the payload has only the id is written `source:#id`, which no rails can name.
    """
    kind, thread = _find_thread(payload, attributes)
    if thread is None:
        return replace(trigger, head_sha=commit_id(attributes.sha or payload.sha or payload.after))
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
    change, shown = kind == "merge_request", None
    if thread.iid is not UNSET:
        noun = "change" if change else "issue"
        shown = Thread(noun, thread.iid, texts.title, safe_url(thread.url), thread_author)
    return replace(
        trigger,
        unusable=bot_text_reason(name, bot, trigger.sender, author),
        author=author,
        account_ids=_ids(trigger, (thread_author, author), accounts),
        thread=shown,
        comment_id=None if thread is attributes else comment_id(attributes.id),
        labels=label_titles(payload.labels or thread.labels),
        assignees=_accounts(source, _assigned(name, payload)),
        reviewers=_accounts(source, _requested_reviewers(name, payload)),
        commands=parse_commands(attributes.note or "", bot) if name in COMMAND_EVENTS else (),
        quotes=texts.quotes,
        hidden=texts.hidden,
        from_fork=_from_fork(thread) if change else None,
        draft=thread.is_draft if change else None,
        closed=is_closed(thread.state),
        locked=thread.discussion_locked,
        ref=thread.target_branch,
        head_sha=commit_id(thread.last_commit.id) if thread.last_commit else None,
    )


def _find_thread(payload: GitlabPayload, attributes: GitlabAttributes) -> tuple[str, GitlabThread | None]:
    """Return the thread of an event with the field that has it; a kind without one comes back as it is."""
    kind = payload.kind or ""
    if kind in {"issue", "merge_request"}:
        return kind, attributes
    field = _THREAD_FIELDS.get(attributes.noteable_type or "") if kind == "note" else None
    if field is None:
        return kind, None
    return field, payload.issue if field == "issue" else payload.merge_request


def _known_accounts(
    trigger: Trigger, payload: GitlabPayload, attributes: GitlabAttributes
) -> dict[int | None, str | None]:
    """Return the accounts in the payload by id; the sender is the author of what was just created."""
    users = (payload.user, payload.assignee, *(payload.assignees or ()), *(payload.reviewers or ()))
    accounts: dict[int | None, str | None] = {
        user.id: qualified_account(trigger.source, user.username) for user in users if user and user.id is not None
    }
    created = attributes.action == "open" or (payload.kind == "note" and is_new_note(attributes))
    if created and payload.user and payload.user.id is None:
        accounts.setdefault(attributes.author_id, trigger.sender)
    return accounts


def _ids(
    trigger: Trigger, authors: Iterable[str | None], accounts: dict[int | None, str | None]
) -> dict[str, tuple[str, ...]]:
    """Return the ids of the sender and of the authors, as `Trigger.account_ids`."""
    people = {trigger.sender, *authors}
    known = [(account, user_id) for user_id, account in accounts.items() if account in people]
    nameless = [
        (each, int(each.partition("#")[2])) for each in people if each and each.startswith(f"{trigger.source}:#")
    ]
    return ids_by_account([*known, *nameless])


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
    change_ref="refs/merge-requests/{number}/head",
    hook_header="X-Gitlab-Webhook-UUID",
)
