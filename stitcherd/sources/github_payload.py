"""From a body in GitHub's shape, which Gitea and Forgejo took over, to the one vocabulary."""

from collections.abc import Iterable

from msgspec import UNSET

from shared.models import Thread
from stitcherd.sources.commands import commands_of
from stitcherd.sources.github_body import Body, Envelope, Repository, Topic, User
from stitcherd.sources.names import account_of, web_address
from stitcherd.sources.source import WrongShape
from stitcherd.sources.texts import COMMANDED, own_text
from stitcherd.trigger import Quote, Trigger


def unnamed(seen: Envelope, event: str, *, source: str, refused: str | None = None) -> Trigger:
    """Return what is known of an event for which there is no word."""
    return Trigger(
        source=source,
        event=event,
        action=seen.action,
        refused=refused,
        sender=_account(source, seen.sender),
        repository=_full_name(seen.repository),
    )


def require(seen: Body, fields: Iterable[str]) -> None:
    """Raise WrongShape where one of the fields is missing, or is a topic without a number."""
    for field in fields:
        value = getattr(seen, field)
        if value is None:
            raise WrongShape(f"$.{field}: missing")
        if isinstance(value, Topic) and value.number is UNSET:
            raise WrongShape(f"$.{field}.number: missing")


def named(
    seen: Body, event: str, name: str | None, *, source: str, bot: str | None, assigned: Iterable[User | None]
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
        refused=own_text(name, bot, sender, author),
        sender=sender,
        author=author,
        repository=_full_name(seen.repository),
        thread=_thread(seen, topic, source) if topic else None,
        labels=tuple(label.name for label in topic.labels or () if label and label.name) if topic else (),
        assignees=_accounts(source, assigned) if name == "issue.assigned" else (),
        reviewers=_accounts(source, [seen.requested_reviewer]) if name == "change.review_requested" else (),
        commands=commands_of(text.body or "", bot) if text and name in COMMANDED else (),
        quotes=_quotes(seen, topic, source) if topic else (),
        from_fork=_from_fork(seen.pull_request, seen.repository),
        ref=_branch(seen),
        head_sha=_head_sha(seen),
    )


def _account(source: str, user: User | None) -> str | None:
    return account_of(source, user.login) if user else None


def _accounts(source: str, users: Iterable[User | None]) -> tuple[str, ...]:
    accounts = (_account(source, user) for user in users)
    return tuple(account for account in accounts if account)


def _full_name(repository: Repository | None) -> str | None:
    return repository.full_name if repository else None


def _thread(seen: Body, topic: Topic, source: str) -> Thread | None:
    if topic.number is UNSET:
        return None
    return Thread(
        kind="change" if topic is seen.pull_request or topic.pull_request else "issue",
        number=topic.number,
        title=topic.title or "",
        url=web_address(topic.html_url),
        author=_account(source, topic.user),
    )


def _quotes(seen: Body, topic: Topic, source: str) -> tuple[Quote, ...]:
    author = _account(source, topic.user)
    texts = [(author, "title", topic.title), (author, "body", topic.body)]
    texts += [(_account(source, text.user), "comment", text.body) for text in (seen.comment, seen.review) if text]
    return tuple(Quote(writer, kind, text) for writer, kind, text in texts if text)


def _from_fork(change: Topic | None, repository: Repository | None) -> bool | None:
    """Say whether a change comes from another repository; one that is gone was a fork."""
    if change is None or change.head is None:
        return None
    head, base = _full_name(change.head.repo), _full_name(repository)
    if head is None and change.base and change.base.repo_id is not None:
        return change.head.repo_id != change.base.repo_id
    return head is None or base is None or head.lower() != base.lower()


def _branch(seen: Body) -> str | None:
    if seen.pull_request and seen.pull_request.base:
        return seen.pull_request.base.ref
    return None


def _head_sha(seen: Body) -> str | None:
    if seen.pull_request and seen.pull_request.head:
        return seen.pull_request.head.sha
    run = seen.check_run or seen.check_suite or seen.workflow_run
    sha = run.head_sha if run else seen.sha or seen.after
    return sha if sha and sha.strip("0") else None  # a deleted branch is pushed as zeros
