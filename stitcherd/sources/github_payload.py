"""Payloads of GitHub webhooks, and their conversion to triggers; Gitea and Forgejo use the same format.

Only the fields listed here are read; absent and null are the same. Documentation: docs.github.com, "Webhook events and
payloads". Users, and the repositories of forks, are null once deleted.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from shared.models import Thread
from stitcherd.sources.base import MISSING
from stitcherd.sources.fields import (
    AccountId,
    Ref,
    RepositoryName,
    Sha,
    ThreadNumber,
    action_text,
    comment_id,
    commit_id,
    event_text,
    is_closed,
    is_unreadable_login,
)
from stitcherd.sources.hidden_text import TITLE, ThreadTexts, quote_texts
from stitcherd.sources.payload import BODY
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

_ACTION = frozenset({BODY, "$.action"})
_ISSUE_KIND = frozenset({BODY, "$.issue", "$.issue.pull_request", "$.is_pull"})


class GithubUser(Struct, frozen=True):
    """An account: its login may be given up and taken by another account, its id may not."""

    id: AccountId | None = None
    login: str | None = None


class GithubRepository(Struct, frozen=True):
    """A repository."""

    full_name: RepositoryName | None = None


class GithubLabel(Struct, frozen=True):
    """A label."""

    name: str | None = None


class GithubMarker(Struct, frozen=True):
    """The mark of a pull request."""

    draft: bool | None = None  # Gitea only


class GithubHead(Struct, frozen=True):
    """The head of a pull request."""

    sha: Sha | None = None
    repo: GithubRepository | None = None
    repo_id: int | None = None  # Gitea only


class GithubBase(Struct, frozen=True):
    """The target branch of a pull request."""

    ref: Ref | None = None
    repo_id: int | None = None  # Gitea only


class GithubThread(Struct, frozen=True):
    """An issue or a pull request; `pull_request` marks a pull request that is shown as an issue."""

    number: ThreadNumber | UnsetType = UNSET
    title: str | None = None
    body: str | None = None
    html_url: str | None = None
    user: GithubUser | None = None
    labels: tuple[GithubLabel | None, ...] | None = None
    pull_request: GithubMarker | None = None
    draft: bool | None = None
    state: str | None = None
    locked: bool | None = None
    head: GithubHead | None = None
    base: GithubBase | None = None
    updated_at: Any = None  # here and below: only for the subject


class GithubComment(Struct, frozen=True):
    """A comment or a review."""

    body: str | None = None
    user: GithubUser | None = None
    id: Any = None  # only where to react, and for the subject


class GithubRun(Struct, frozen=True):
    """A check run, a check suite or a workflow run."""

    head_sha: Sha | None = None


class GithubEnvelope(Struct, frozen=True):
    """The fields that any event may have."""

    action: str | None = None
    sender: GithubUser | None = None
    repository: GithubRepository | None = None


class GithubPayload(GithubEnvelope, frozen=True):
    """The fields of the events that rails can refer to."""

    issue: GithubThread | None = None
    pull_request: GithubThread | None = None
    comment: GithubComment | None = None
    review: GithubComment | None = None
    assignee: GithubUser | None = None
    label: Any = None
    requested_reviewer: GithubUser | None = None
    ref: str | None = None
    after: Sha | None = None
    check_run: GithubRun | None = None
    check_suite: GithubRun | None = None
    workflow_run: GithubRun | None = None
    sha: Sha | None = None
    state: str | None = None


def unnamed_trigger(payload: GithubEnvelope, event: str, *, source: str, unusable: str | None = None) -> Trigger:
    """Return the trigger of an event that rails cannot refer to."""
    return Trigger(
        source=source,
        event=event_text(event),
        action=action_text(payload.action),
        unusable=unusable,
        sender=_account(source, payload.sender),
        account_ids=_ids(source, (payload.sender,)),
        repository=_repository_name(payload.repository),
    )


def missing_fields(payload: GithubPayload, fields: Iterable[str]) -> dict[str, str]:
    """Return which of the fields are missing, or are threads without a number, as faults.

    A repository may be missing: a job without one gets an empty directory.
    """
    missing = {}
    for field in fields:
        value = getattr(payload, field)
        if value is None:
            missing[f"$.{field}"] = MISSING
        elif isinstance(value, GithubThread) and value.number is UNSET:
            missing[f"$.{field}.number"] = MISSING
    return missing


def hidden_names(
    names: Mapping[tuple[str, str | None], str], event: str, name: str | None, faults: Mapping[str, str]
) -> frozenset[str]:
    """Return the names that an event may have besides its own: all in `names` if its action is malformed."""
    hidden = {each for (of, _), each in names.items() if of == event and not _ACTION.isdisjoint(faults)}
    if "issue.comment" in {name, *hidden} and not _ISSUE_KIND.isdisjoint(faults):
        hidden.add("change.comment")
    return frozenset(hidden)


def build_trigger(
    payload: GithubPayload,
    event: str,
    name: str | None,
    *,
    source: str,
    bot: str | None,
    assigned: Iterable[GithubUser | None],
) -> Trigger:
    """Return the trigger of an event, of what could be read.

    `name` is `issue.comment` also for a comment on a change; `assigned` are the assignees if this is an assignment.
    """
    thread = payload.issue or payload.pull_request
    comment = payload.comment or payload.review
    if name == "issue.comment" and thread and thread.pull_request:
        name = "change.comment"
    if name == "check.completed" and payload.state == "pending":
        name = None
    sender = _account(source, payload.sender)
    writer = (comment or thread).user if thread else None
    author = _account(source, writer)
    texts = _texts(payload, thread, source)
    trigger = Trigger(
        source=source,
        event=event,
        action=action_text(payload.action),
        name=name,
        unusable=bot_text_reason(name, bot, sender, author),
        sender=sender,
        author=author,
        unread_login=any(is_unreadable_login(user.login) for user in (payload.sender, writer) if user),
        account_ids=_ids(source, (payload.sender, *(text.user for text in (thread, comment) if text))),
        repository=_repository_name(payload.repository),
        thread=_thread(payload, thread, source, texts.title) if thread else None,
        comment_id=comment_id(payload.comment.id) if payload.comment and thread else None,
        labels=tuple(label.name for label in thread.labels or () if label and label.name) if thread else (),
        assignees=_accounts(source, assigned) if name == "issue.assigned" else (),
        reviewers=_accounts(source, [payload.requested_reviewer]) if name == "change.review_requested" else (),
        commands=parse_commands(comment.body or "", bot) if comment and name in COMMAND_EVENTS else (),
        quotes=texts.quotes,
        hidden=texts.hidden,
        from_fork=_from_fork(payload.pull_request, payload.repository),
        draft=thread.draft if thread and _is_change(payload, thread) else None,
        closed=is_closed(thread.state) if thread else None,
        locked=thread.locked if thread else None,
        ref=_base_branch(payload),
        head_sha=_head_sha(payload),
    )
    subject = event_subject(
        trigger,
        changed_at=thread.updated_at if thread else None,
        review_id=payload.review.id if payload.review else None,
        labels=[_label_name(payload.label)],
    )
    return replace(trigger, subject=subject)


def _label_name(label: object) -> str | None:
    """Return the name of the label that an event added; the payloads of Gitea do not tell it."""
    name = label.get("name") if isinstance(label, dict) else None
    return name if isinstance(name, str) else None


def _account(source: str, user: GithubUser | None) -> str | None:
    return qualified_account(source, user.login) if user else None


def _ids(source: str, users: Iterable[GithubUser | None]) -> dict[str, tuple[str, ...]]:
    return ids_by_account((_account(source, user), user.id) for user in users if user)


def _accounts(source: str, users: Iterable[GithubUser | None]) -> tuple[str, ...]:
    accounts = (_account(source, user) for user in users)
    return tuple(account for account in accounts if account)


def _repository_name(repository: GithubRepository | None) -> str | None:
    return repository.full_name if repository else None


def _is_change(payload: GithubPayload, thread: GithubThread) -> bool:
    return thread is payload.pull_request or thread.pull_request is not None


def _thread(payload: GithubPayload, thread: GithubThread, source: str, title: str) -> Thread | None:
    if thread.number is UNSET:
        return None
    return Thread(
        kind="change" if _is_change(payload, thread) else "issue",
        number=thread.number,
        title=title,
        url=safe_url(thread.html_url),
        author=_account(source, thread.user),
    )


def _texts(payload: GithubPayload, thread: GithubThread | None, source: str) -> ThreadTexts:
    if thread is None:
        return quote_texts(())
    author = _account(source, thread.user)
    comments = (each for each in (payload.comment, payload.review) if each)
    return quote_texts(
        (
            (author, TITLE, thread.title),
            (author, "body", thread.body),
            *((_account(source, each.user), "comment", each.body) for each in comments),
        )
    )


def _from_fork(change: GithubThread | None, repository: GithubRepository | None) -> bool | None:
    """Return whether a change comes from another repository; a deleted one was a fork."""
    if change is None or change.head is None:
        return None
    head, base = _repository_name(change.head.repo), _repository_name(repository)
    if head is None and change.base and change.base.repo_id is not None:
        return change.head.repo_id != change.base.repo_id
    return head is None or base is None or head.lower() != base.lower()


def _base_branch(payload: GithubPayload) -> str | None:
    if payload.pull_request and payload.pull_request.base:
        return payload.pull_request.base.ref
    return None


def _head_sha(payload: GithubPayload) -> str | None:
    if payload.pull_request and payload.pull_request.head:
        return commit_id(payload.pull_request.head.sha)
    run = payload.check_run or payload.check_suite or payload.workflow_run
    return commit_id(run.head_sha if run else payload.sha or payload.after)
