"""What a GitLab event is about: its issue or merge request, and who wrote what."""

from collections.abc import Iterable

from msgspec import UNSET
from msgspec.structs import replace

from shared.models import Thread
from stitcherd.sources.commands import commands_of
from stitcherd.sources.gitlab_body import Attributes, Body, Topic, User
from stitcherd.sources.gitlab_names import is_new_note, newly, titles
from stitcherd.sources.names import account_of, web_address
from stitcherd.sources.source import WrongShape
from stitcherd.sources.texts import COMMANDED, own_text
from stitcherd.trigger import Quote, Trigger

_FIELDS = {"Issue": "issue", "MergeRequest": "merge_request"}  # of a note, by what it is on


def told(trigger: Trigger, seen: Body, attributes: Attributes, bot: str | None) -> Trigger:
    """Return a trigger with all that the body says besides its name, sender and repository.

    Who wrote something is `source:#number` where the body does not say whose number that is: somebody, but nobody
    whom rails name. Raises WrongShape.
    """
    kind, topic = _topic(seen, attributes)
    if topic is None:
        sha = attributes.sha or seen.sha or seen.after
        return replace(trigger, head_sha=sha if sha and sha.strip("0") else None)  # a deleted branch: zeros
    if topic.iid is UNSET:
        raise WrongShape(f"$.{'object_attributes' if topic is attributes else kind}.iid: missing")
    source, name = trigger.source, trigger.name
    known = _known(trigger, seen, attributes)
    writer = author = _writer(source, topic.author_id, known)
    if topic is not attributes:  # a note
        author = trigger.sender if attributes.author_id is None else _writer(source, attributes.author_id, known)
    elif name == "change.review":  # it has no text of its own, and that of the change is not new
        author = trigger.sender
    texts = ((writer, "title", topic.title), (writer, "body", topic.description), (author, "comment", attributes.note))
    change = kind == "merge_request"
    return replace(
        trigger,
        refused=own_text(name, bot, trigger.sender, author),
        author=author,
        thread=Thread("change" if change else "issue", topic.iid, topic.title or "", web_address(topic.url), writer),
        labels=titles(seen.labels or topic.labels),
        assignees=_accounts(source, _assigned(name, seen)),
        reviewers=_accounts(source, _asked(name, seen)),
        commands=commands_of(attributes.note or "", bot) if name in COMMANDED else (),
        quotes=tuple(Quote(account, part, text) for account, part, text in texts if text),
        from_fork=_from_fork(topic) if change else None,
        ref=topic.target_branch,
        head_sha=topic.last_commit.id if topic.last_commit else None,
    )


def _topic(seen: Body, attributes: Attributes) -> tuple[str, Topic | None]:
    if seen.object_kind in {"issue", "merge_request"}:
        return seen.object_kind, attributes
    field = _FIELDS.get(attributes.noteable_type or "") if seen.object_kind == "note" else None
    if field is None:
        return seen.object_kind, None
    topic = seen.issue if field == "issue" else seen.merge_request
    if topic is None:
        raise WrongShape(f"$.{field}: missing")
    return field, topic


def _known(trigger: Trigger, seen: Body, attributes: Attributes) -> dict[int | None, str | None]:
    """Return the accounts whose numbers the body tells; whoever just made something is its author."""
    people = (seen.user, seen.assignee, *(seen.assignees or ()), *(seen.reviewers or ()))
    known: dict[int | None, str | None] = {
        user.id: account_of(trigger.source, user.username) for user in people if user and user.id is not None
    }
    made = attributes.action == "open" or (seen.object_kind == "note" and is_new_note(attributes))
    if made and seen.user and seen.user.id is None:
        known.setdefault(attributes.author_id, trigger.sender)
    return known


def _writer(source: str, number: int | None, known: dict[int | None, str | None]) -> str | None:
    nameless = None if number is None else f"{source}:#{number}"
    return known.get(number, nameless)


def _assigned(name: str | None, seen: Body) -> Iterable[User | None]:
    if name == "issue.opened":  # who is assigned to a new issue is told with it, and not once more
        return seen.assignees or (seen.assignee,)
    return newly(seen.changes.assignees) if name == "issue.assigned" and seen.changes else ()


def _asked(name: str | None, seen: Body) -> Iterable[User | None]:
    if name == "change.opened":
        return seen.reviewers or ()
    return newly(seen.changes.reviewers) if name == "change.review_requested" and seen.changes else ()


def _accounts(source: str, users: Iterable[User | None]) -> tuple[str, ...]:
    accounts = (account_of(source, user.username) for user in users if user)
    return tuple(account for account in accounts if account)


def _from_fork(change: Topic) -> bool:
    """Say whether a change comes from another project; one that is gone was a fork."""
    return change.source_project_id is None or change.source_project_id != change.target_project_id
