"""What was done to an issue or a merge request of GitLab, in the form of its webhooks.

Labels have events of their own. Of assignments, requested reviews and merge requests that are marked as ready only the
notes tell that GitLab itself writes, always in English.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from msgspec import Struct

from stitcherd.forges import paths
from stitcherd.forges.base import Feed, FeedItem, Response, read_as
from stitcherd.forges.gitlab_hooks import NoteBody, Raw, ThreadBody, thread_event
from stitcherd.forges.gitlab_responses import PAGES, Time, UserBody
from stitcherd.forges.models import RepositoryRef
from stitcherd.forges.paged_lists import Query, everything, list_pages
from stitcherd.forges.repos_responses import milliseconds

RESOURCES = {"issue": "issues", "merge_request": "merge_requests"}

_OPENING = timedelta(seconds=2)  # in which GitLab tells what a thread was opened with, as if it were done then
_NOTES: Query = (("activity_filter", "only_activity"), ("order_by", "created_at"), ("sort", "desc"))
_LOGINS = re.compile(r"@([A-Za-z0-9_.][A-Za-z0-9_.-]*)")
_READY = "marked this merge request as **ready**"
# By the kind of thread: how a note begins that names who was added, what may follow, and the name of that change.
_ADDED = {
    "issue": ("assigned to ", " unassigned ", "assignees"),
    "merge_request": ("requested review from ", " removed review request for ", "reviewers"),
}


class _Label(Struct):
    name: str


class _LabelEvent(Struct):
    id: int
    created_at: Time
    action: str
    user: UserBody | None = None
    label: _Label | None = None  # none if it was deleted


class _Note(NoteBody, kw_only=True):
    created_at: Time


def activity_feeds(repository: RepositoryRef, kind: str, thread: ThreadBody, raw: Raw) -> tuple[Feed, ...]:
    """Return the lists of what was done to a thread, `raw`; what it was opened with is in its opening alone."""
    path = f"/{RESOURCES[kind]}/{paths.number(thread.iid)}"

    def item(id_: str, at: datetime, user: UserBody | None, changes: Raw | None) -> FeedItem:
        opened_with = user == thread.author and at < thread.created_at + _OPENING
        event = None
        if changes is not None and not opened_with:
            event = thread_event(
                repository, kind, thread, raw, action="update", user=user, changed_at=at, changes=changes
            )
        return FeedItem(id_, milliseconds(at), milliseconds(at), event)

    def labels(response: Response) -> tuple[FeedItem, ...]:
        found = []
        for (at, user, added), group in groupby(read_as(list[_LabelEvent], response), _update_of):
            events = tuple(group)
            titles = [{"title": each.label.name} for each in events if each.label is not None]
            changes = {"labels": {"previous": [], "current": titles}} if added and titles else None
            found.append(item(f"label:{events[0].id}", at, user, changes))
        return tuple(found)

    def notes(response: Response) -> tuple[FeedItem, ...]:
        found = read_as(list[_Note], response)
        return tuple(item(f"note:{each.id}", each.created_at, each.author, _changes_in(each, kind)) for each in found)

    return (
        Feed(
            f"labels:{thread.iid}", list_pages(repository, f"{path}/resource_label_events", PAGES, everything, labels)
        ),
        Feed(f"notes:{thread.iid}", list_pages(repository, f"{path}/notes", PAGES, lambda _since: _NOTES, notes), True),
    )


def _update_of(event: _LabelEvent) -> tuple[datetime, UserBody | None, bool]:
    """Return what the labels have in common that one update added, or removed."""
    return event.created_at, event.user, event.action == "add"


def _changes_in(note: _Note, kind: str) -> Mapping[str, Any] | None:
    """Return the changes that a note of GitLab itself tells, None if rails cannot refer to them."""
    if not note.system:
        return None
    if kind == "merge_request" and note.body == _READY:
        return {"draft": {"previous": True, "current": False}}
    beginning, ending, name = _ADDED[kind]
    if not note.body.startswith(beginning):
        return None
    logins = _LOGINS.findall(note.body.removeprefix(beginning).partition(ending)[0])
    return {name: {"previous": [], "current": [{"username": login} for login in logins]}}
