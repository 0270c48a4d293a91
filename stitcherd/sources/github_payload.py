"""From a body in GitHub's shape, which Gitea and Forgejo took over, to the one vocabulary."""

from collections.abc import Iterable

from msgspec import UNSET, Struct, UnsetType

from shared.models import Thread
from stitcherd.sources.base import WrongShape
from stitcherd.sources.text import (
    COMMAND_EVENTS,
    Login,
    Ref,
    RepositoryName,
    Sha,
    ThreadNumber,
    bot_text_reason,
    parse_commands,
    qualified_account,
    safe_url,
)
from stitcherd.sources.trigger import Quote, Trigger

# merged from stitcherd.sources.github_body: The dozen fields that are read of a GitHub body; absent and null
# are the same, all others are ignored. Shapes: docs.github.com, "Webhook events and payloads". Users and the
# repositories of forks are null once deleted.


class GithubUser(Struct, frozen=True):
    """An account."""

    login: Login | None = None


class GithubRepository(Struct, frozen=True):
    """A repository."""

    full_name: RepositoryName | None = None


class GithubLabel(Struct, frozen=True):
    """A label."""

    name: str | None = None


class GithubMarker(Struct, frozen=True):
    """An object that says something by being there."""


class GithubHead(Struct, frozen=True):
    """The commit that a change brings."""

    sha: Sha | None = None
    repo: GithubRepository | None = None
    repo_id: int | None = None  # Gitea's


class GithubBase(Struct, frozen=True):
    """The branch that a change wants to go into."""

    ref: Ref | None = None
    repo_id: int | None = None  # Gitea's


class GithubThread(Struct, frozen=True):
    """An issue or a pull request; `pull_request` marks a pull request that is shown as an issue."""

    number: ThreadNumber | UnsetType = UNSET
    title: str | None = None
    body: str | None = None
    html_url: str | None = None
    user: GithubUser | None = None
    labels: tuple[GithubLabel | None, ...] | None = None
    pull_request: GithubMarker | None = None
    head: GithubHead | None = None
    base: GithubBase | None = None


class GithubComment(Struct, frozen=True):
    """A comment or a review."""

    body: str | None = None
    user: GithubUser | None = None


class GithubRun(Struct, frozen=True):
    """A check run, a check suite or a workflow run."""

    head_sha: Sha | None = None


class GithubEnvelope(Struct, frozen=True):
    """What every event may have."""

    action: str | None = None
    sender: GithubUser | None = None
    repository: GithubRepository | None = None


class GithubPayload(GithubEnvelope, frozen=True):
    """What the events have for which there is a word."""

    issue: GithubThread | None = None
    pull_request: GithubThread | None = None
    comment: GithubComment | None = None
    review: GithubComment | None = None
    assignee: GithubUser | None = None
    requested_reviewer: GithubUser | None = None
    ref: str | None = None
    after: Sha | None = None
    check_run: GithubRun | None = None
    check_suite: GithubRun | None = None
    workflow_run: GithubRun | None = None
    sha: Sha | None = None
    state: str | None = None


def unnamed_trigger(seen: GithubEnvelope, event: str, *, source: str, refused: str | None = None) -> Trigger:
    """Return what is known of an event for which there is no word."""
    return Trigger(
        source=source,
        event=event,
        action=seen.action,
        refused=refused,
        sender=_account(source, seen.sender),
        repository=_repository_name(seen.repository),
    )


def require_fields(seen: GithubPayload, fields: Iterable[str]) -> None:
    """Raise WrongShape where one of the fields is missing, or is a topic without a number."""
    for field in fields:
        value = getattr(seen, field)
        if value is None:
            raise WrongShape(f"$.{field}: missing")
        if isinstance(value, GithubThread) and value.number is UNSET:
            raise WrongShape(f"$.{field}.number: missing")


def build_trigger(
    seen: GithubPayload,
    event: str,
    name: str | None,
    *,
    source: str,
    bot: str | None,
    assigned: Iterable[GithubUser | None],
) -> Trigger:
    """Return what an event says; `name` is that of an issue's comment even where the comment is on a change.

    `assigned` is who was assigned, if that is what happened.
    """
    topic = seen.issue or seen.pull_request
    text = seen.comment or seen.review
    if name == "issue.comment" and topic and topic.pull_request:
        name = "change.comment"
    if name == "check.completed" and seen.state == "pending":
        name = None
    sender = _account(source, seen.sender)
    author = _account(source, (text or topic).user if topic else None)
    return Trigger(
        source=source,
        event=event,
        action=seen.action,
        name=name,
        refused=bot_text_reason(name, bot, sender, author),
        sender=sender,
        author=author,
        repository=_repository_name(seen.repository),
        thread=_thread(seen, topic, source) if topic else None,
        labels=tuple(label.name for label in topic.labels or () if label and label.name) if topic else (),
        assignees=_accounts(source, assigned) if name == "issue.assigned" else (),
        reviewers=_accounts(source, [seen.requested_reviewer]) if name == "change.review_requested" else (),
        commands=parse_commands(text.body or "", bot) if text and name in COMMAND_EVENTS else (),
        quotes=_quotes(seen, topic, source) if topic else (),
        from_fork=_from_fork(seen.pull_request, seen.repository),
        ref=_base_branch(seen),
        head_sha=_head_sha(seen),
    )


def _account(source: str, user: GithubUser | None) -> str | None:
    return qualified_account(source, user.login) if user else None


def _accounts(source: str, users: Iterable[GithubUser | None]) -> tuple[str, ...]:
    accounts = (_account(source, user) for user in users)
    return tuple(account for account in accounts if account)


def _repository_name(repository: GithubRepository | None) -> str | None:
    return repository.full_name if repository else None


def _thread(seen: GithubPayload, topic: GithubThread, source: str) -> Thread | None:
    if topic.number is UNSET:
        return None
    return Thread(
        kind="change" if topic is seen.pull_request or topic.pull_request else "issue",
        number=topic.number,
        title=topic.title or "",
        url=safe_url(topic.html_url),
        author=_account(source, topic.user),
    )


def _quotes(seen: GithubPayload, topic: GithubThread, source: str) -> tuple[Quote, ...]:
    author = _account(source, topic.user)
    texts = [(author, "title", topic.title), (author, "body", topic.body)]
    texts += [(_account(source, text.user), "comment", text.body) for text in (seen.comment, seen.review) if text]
    return tuple(Quote(writer, kind, text) for writer, kind, text in texts if text)


def _from_fork(change: GithubThread | None, repository: GithubRepository | None) -> bool | None:
    """Say whether a change comes from another repository; one that is gone was a fork."""
    if change is None or change.head is None:
        return None
    head, base = _repository_name(change.head.repo), _repository_name(repository)
    if head is None and change.base and change.base.repo_id is not None:
        return change.head.repo_id != change.base.repo_id
    return head is None or base is None or head.lower() != base.lower()


def _base_branch(seen: GithubPayload) -> str | None:
    if seen.pull_request and seen.pull_request.base:
        return seen.pull_request.base.ref
    return None


def _head_sha(seen: GithubPayload) -> str | None:
    if seen.pull_request and seen.pull_request.head:
        return seen.pull_request.head.sha
    run = seen.check_run or seen.check_suite or seen.workflow_run
    sha = run.head_sha if run else seen.sha or seen.after
    return sha if sha and sha.strip("0") else None  # a deleted branch is pushed as zeros
