"""Webhooks of GitHub, signed with HMAC-SHA256 over the raw body, as JSON or as a form."""

import re
from collections.abc import Mapping

from msgspec.json import Decoder

from shared.models import Thread
from stitcherd.sources.body import FORM, JSON, decode, scrub
from stitcherd.sources.commands import commands_of
from stitcherd.sources.github_body import Body, Envelope, Repository, Topic, User
from stitcherd.sources.headers import hmac_sha256, id_from
from stitcherd.sources.names import is_bot, web_address
from stitcherd.sources.source import Source, WrongShape
from stitcherd.trigger import Quote, Trigger

# An event, and the fields of its body that it cannot be without.
_NEEDS: Mapping[str, tuple[str, ...]] = {
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
_NAMES: Mapping[tuple[str, str | None], str] = {
    ("issues", "opened"): "issue.opened",
    ("issues", "assigned"): "issue.assigned",
    ("issues", "labeled"): "issue.labeled",
    ("issue_comment", "created"): "issue.comment",
    ("pull_request", "opened"): "change.opened",
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
_COMMANDED = frozenset({"issue.comment", "change.comment", "change.review", "change.review_comment"})
_WRITTEN = _COMMANDED | {"issue.opened", "change.opened"}

_EVENT = re.compile(r"[a-z][a-z0-9_]{0,99}")
_BODY = Decoder(Body)
_ENVELOPE = Decoder(Envelope)


def parse(headers: Mapping[str, str], body: bytes, /, *, source: str, bot: str | None, form: bool = False) -> Trigger:
    """Return what a delivery of GitHub says; see `Parse`."""
    event = headers.get("X-GitHub-Event", "")
    if not _EVENT.fullmatch(event):
        raise WrongShape("X-GitHub-Event: expected the name of an event")
    if event in _NEEDS:
        return _known(event, decode(_BODY, body, form=form), source, bot)
    seen = decode(_ENVELOPE, body, form=form)
    return Trigger(
        source=source,
        event=event,
        action=seen.action,
        refused="ping" if event == "ping" else None,
        sender=_account(source, seen.sender),
        repository=_full_name(seen.repository),
    )


def _known(event: str, seen: Body, source: str, bot: str | None) -> Trigger:
    for field in _NEEDS[event]:
        if getattr(seen, field) is None:
            raise WrongShape(f"$.{field}: missing")
    topic = seen.issue or seen.pull_request
    text = seen.comment or seen.review
    name = _name(event, seen)
    sender = _account(source, seen.sender)
    author = _account(source, (text or topic).user if topic else None)
    own = name in _WRITTEN and (is_bot(sender, bot) or is_bot(author, bot))
    return Trigger(
        source=source,
        event=event,
        action=seen.action,
        name=name,
        refused=f"written by {bot} itself" if own else None,
        sender=sender,
        author=author,
        repository=_full_name(seen.repository),
        thread=_thread(seen, topic, source) if topic else None,
        labels=tuple(label.name for label in topic.labels or () if label and label.name) if topic else (),
        assignees=_named(source, seen.assignee) if name == "issue.assigned" else (),
        reviewers=_named(source, seen.requested_reviewer) if name == "change.review_requested" else (),
        commands=commands_of(text.body or "", bot) if text and name in _COMMANDED else (),
        quotes=_quotes(seen, topic, source) if topic else (),
        from_fork=_from_fork(seen.pull_request, seen.repository),
        ref=_branch(seen),
        head_sha=_head_sha(seen),
    )


def _name(event: str, seen: Body) -> str | None:
    if event == "status" and seen.state == "pending":
        return None
    name = _NAMES.get((event, seen.action))
    if name == "issue.comment" and seen.issue and seen.issue.pull_request:
        return "change.comment"
    return name


def _account(source: str, user: User | None) -> str | None:
    return f"{source}:{user.login}" if user and user.login else None


def _named(source: str, user: User | None) -> tuple[str, ...]:
    account = _account(source, user)
    return (account,) if account else ()


def _full_name(repository: Repository | None) -> str | None:
    return repository.full_name if repository else None


def _thread(seen: Body, topic: Topic, source: str) -> Thread:
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


SOURCE = Source(
    kind="github",
    verify=hmac_sha256("X-Hub-Signature-256", prefix="sha256="),
    parse=parse,
    external_id=id_from("X-GitHub-Delivery"),
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
)
