"""What was done to a thread of Gitea or Forgejo, from its timeline, in the form of their webhooks.

Their webhooks tell all labels and all assignees of the thread as it then was. The timeline tells what was added and
removed, so the later changes are undone.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from msgspec import Struct

from stitcherd.forges.base import Call, FeedEvent, FeedItem, Response, read_as
from stitcherd.forges.models import RepositoryRef
from stitcherd.forges.repos_responses import User, milliseconds

Raw = Mapping[str, Any]
OfThread = Callable[[str, Raw, Raw], FeedEvent | Call[FeedEvent]]  # event, body, what differs in the thread

_ADDED_LABEL = "1"  # the body of an item that tells a label; that of a removed one is empty


class _Change(Struct):
    merged: bool = False


class ListedThread(Struct):
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
    thread: ListedThread, raw_thread: Raw, response: Response, of_thread: OfThread
) -> tuple[FeedItem, ...]:
    """Return the items of a whole timeline; `of_thread` puts an event together with the thread."""
    every = zip(read_as(list[_Item], response), response.content, strict=True)
    labels, assignees = list(raw_thread.get("labels") or ()), list(raw_thread.get("assignees") or ())
    found = list[FeedItem]()
    for group in reversed([tuple(each) for _, each in groupby(every, _update_of)]):
        for item, raw in group:  # done again, since the thread may have been read before it
            labels, assignees = _changed(item, raw, labels, assignees, undo=False)
        changed = {"labels": labels, "assignees": assignees}
        for index, (item, raw) in enumerate(reversed(group)):
            told = _told([each for each, _ in group], raw, thread) if index == 0 else None
            event = None
            if told is not None:
                body = {**told[1], "sender": raw.get("user")}
                event = of_thread(told[0], body, {"updated_at": raw["created_at"], **changed})
            times = milliseconds(item.created_at), milliseconds(item.updated_at)
            found.append(FeedItem(f"timeline:{item.id}", *times, event))
            labels, assignees = _changed(item, raw, labels, assignees, undo=True)
    return tuple(reversed(found))


def _update_of(told: tuple[_Item, Raw]) -> tuple[Any, ...]:
    """Return what the labels have in common that one webhook tells; everything else is told by itself."""
    item = told[0]
    login = item.user.login if item.user else None
    return ("label", item.created_at, login) if item.type == "label" else ("item", item.id)


def _told(group: Sequence[_Item], raw: Raw, thread: ListedThread) -> tuple[str, Raw] | None:
    """Return the event of the items that one webhook tells, and its body; None for what rails cannot refer to."""
    told: tuple[str, Raw] | None = None
    item = group[-1]
    match item.type:
        case "label" if any(each.body == _ADDED_LABEL for each in group):
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


def _changed(
    item: _Item, raw: Raw, labels: list[Raw], assignees: list[Raw], *, undo: bool
) -> tuple[list[Raw], list[Raw]]:
    """Return the labels and assignees after an item of the timeline, or with `undo`, before it."""
    if item.type == "label" and item.label is not None:
        labels = _with(labels, item.label, raw["label"], added=(item.body == _ADDED_LABEL) != undo)
    elif item.type == "assignees" and item.assignee is not None:
        assignees = _with(assignees, item.assignee, raw["assignee"], added=item.removed_assignee == undo)
    return labels, assignees


def _with(now: list[Raw], item: _Named, raw: Raw, *, added: bool) -> list[Raw]:
    """Return the labels or assignees after one was added or removed."""
    others = [each for each in now if each.get("id") != item.id]
    return [*others, raw] if added else others
