"""What was done to a thread of Gitea or Forgejo, from its timeline, in the form of their webhooks.

Their webhooks tell all labels and all assignees of the thread as it then was. The timeline tells what was added and
removed, so the later changes are undone.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from stitcherd.forges.base import Call, FeedEvent, FeedItem, Response, read_as
from stitcherd.forges.models import RepositoryRef
from stitcherd.forges.repos_responses import User, milliseconds

Raw = Mapping[str, Any]
OfThread = Callable[[str, Raw, Raw], FeedEvent | Call[FeedEvent]]  # event, body, what differs in the thread

_ADDED_LABEL = "1"  # the body of an item that tells a label; that of a removed one is empty
_OPENING = timedelta(seconds=2)  # in which the labels are told that a thread was opened with


class _Change(Struct):
    merged: bool = False


class ThreadBody(Struct):
    """An issue or a pull request, as the list of both tells it."""

    number: int
    created_at: datetime
    updated_at: datetime
    user: User | None = None
    pull_request: _Change | None = None

    @property
    def is_change(self) -> bool:
        """Whether it is a pull request."""
        return self.pull_request is not None


class _Named(Struct):
    id: int


class _Item(Struct):
    id: int
    type: str
    created_at: datetime
    updated_at: datetime
    user: User | None = None
    body: str = ""
    label: _Named | None = None
    assignee: _Named | None = None
    removed_assignee: bool = False
    old_title: str = ""


def webhook_event(repository: RepositoryRef, name: str, body: Raw) -> FeedEvent:
    """Return an event in the form of the webhook with a name."""
    headers = {"Content-Type": "application/json", "X-Gitea-Event-Type": name}
    return FeedEvent(headers, {**body, "repository": {"full_name": repository.name}})


def timeline_items(
    thread: ThreadBody, raw_thread: Raw, response: Response, of_thread: OfThread
) -> tuple[FeedItem, ...]:
    """Return the items of a page of a timeline; `of_thread` puts an event together with the thread."""
    items, raws = read_as(list[_Item], response), response.content
    labels, assignees = list(raw_thread.get("labels") or ()), list(raw_thread.get("assignees") or ())
    found = []
    for index in range(len(items) - 1, -1, -1):
        item, raw = items[index], raws[index]
        changed = {"updated_at": raw["created_at"], "labels": labels, "assignees": assignees}
        event = None
        if not _is_told_before(thread, items, index) and (told := _told(item, raw, thread)) is not None:
            event = of_thread(told[0], {**told[1], "sender": raw.get("user")}, changed)
        times = milliseconds(item.created_at), milliseconds(item.updated_at)
        found.append(FeedItem(f"timeline:{item.id}", *times, event))
        if item.type == "label":
            labels = _undo(labels, item.label, raw.get("label"), added=item.body == _ADDED_LABEL)
        elif item.type == "assignees":
            assignees = _undo(assignees, item.assignee, raw.get("assignee"), added=not item.removed_assignee)
    return tuple(reversed(found))


def _is_told_before(thread: ThreadBody, items: Sequence[_Item], index: int) -> bool:
    """Say whether one webhook tells a label with others: those of one second, and those a thread was opened with."""
    item = items[index]
    if item.type != "label":
        return False
    if item.user == thread.user and item.created_at < thread.created_at + _OPENING:
        return True
    after = items[index + 1] if index + 1 < len(items) else None
    return after is not None and (after.type, after.user, after.created_at) == (item.type, item.user, item.created_at)


def _told(item: _Item, raw: Raw, thread: ThreadBody) -> tuple[str, Raw] | None:
    """Return the event of an item and its body, None for what rails cannot refer to."""
    told: tuple[str, Raw] | None = None
    match item.type:
        case "label" if item.body == _ADDED_LABEL:
            told = "pull_request_label" if thread.is_change else "issue_label", {"action": "label_updated"}
        case "assignees" if not thread.is_change and not item.removed_assignee:
            told = "issue_assign", {"action": "assigned"}
        case "review_request" if item.assignee is not None and not item.removed_assignee:
            body = {"action": "review_requested", "requested_reviewer": raw["assignee"]}
            told = "pull_request_review_request", body
        case "review" if thread.is_change:
            told = "pull_request_review_comment", {"action": "reviewed", "review": {"content": item.body}}
        case "reopen" if thread.is_change:
            told = "pull_request", {"action": "reopened"}
        case "change_title" if thread.is_change:
            told = "pull_request", {"action": "edited", "changes": {"title": {"from": item.old_title}}}
    return told


def _undo(now: list[Raw], item: _Named | None, raw: Raw | None, *, added: bool) -> list[Raw]:
    """Return the labels or assignees before an item was added or removed."""
    if item is None or raw is None:
        return now
    others = [each for each in now if each.get("id") != item.id]
    return others if added else [*others, raw]
