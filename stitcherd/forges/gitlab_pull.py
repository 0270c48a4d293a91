"""What happened in a project of GitLab, asked for, in the form of GitLab's webhooks.

The events of a project tell comments, also those on lines, and reopened merge requests; the lists of issues and merge
requests have new ones, and those that changed, which have lists of what was done to them. All are read from their
newest item on, since a change moves an item to that end.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from shared.ids import format_timestamp
from stitcherd.forges import paths
from stitcherd.forges.base import Call, Feed, FeedEvent, FeedItem, Request, Response, read_as
from stitcherd.forges.gitlab_activity import RESOURCES, activity_feeds
from stitcherd.forges.gitlab_hooks import NoteBody, Raw, ThreadBody, note_event, thread_event
from stitcherd.forges.gitlab_responses import PAGES, Number, Time, UserBody
from stitcherd.forges.models import RepositoryRef
from stitcherd.forges.paged_lists import Items, Query, list_pages, list_repository_pages
from stitcherd.forges.repos_responses import milliseconds

_DAYS_BEFORE = timedelta(days=2)  # events are asked for since the end of a day in the time zone of the forge
_COMMENTED: Query = (("action", "commented"),)  # with target_type=note those in discussions are left out
_REOPENED: Query = (("action", "reopened"), ("target_type", "merge_request"))
_KINDS = {"Issue": "issue", "MergeRequest": "merge_request"}  # by the type of what a note is on


class _Project(Struct):
    path_with_namespace: str


class _Event(Struct):
    id: int
    created_at: Time
    author: UserBody | None = None
    target_iid: Number | None = None
    note: NoteBody | None = None


def feeds(repository: RepositoryRef) -> tuple[Feed, ...]:
    """Return the lists of a project that are read."""

    def comments(response: Response) -> tuple[FeedItem, ...]:
        found = zip(read_as(list[_Event], response), response.content, strict=True)
        return tuple(_item(event, _commented(repository, event.note, raw.get("note"))) for event, raw in found)

    def reopened(response: Response) -> tuple[FeedItem, ...]:
        return tuple(_item(event, _reopened(repository, event)) for event in read_as(list[_Event], response))

    name = repository.name.lower()

    def newest_first(list_: str, path: str, query: Callable[[int], Query], read: Items) -> Feed:
        return Feed(f"{list_}:{name}", list_pages(repository, path, PAGES, query, read), newest_first=True)

    return (
        newest_first("comments", "/events", _events_of(_COMMENTED), comments),
        newest_first("reopened", "/events", _events_of(_REOPENED), reopened),
        *(
            newest_first(resource, f"/{resource}", _by_change, _read(repository, kind))
            for kind, resource in RESOURCES.items()
        ),
    )


def _events_of(query: Query) -> Callable[[int], Query]:
    def since(time: int) -> Query:
        day = datetime.fromtimestamp(time / 1000, UTC).date() - _DAYS_BEFORE
        return (*query, ("after", day.isoformat()), ("sort", "desc"))

    return since


def _by_change(since: int) -> Query:
    order = (("state", "all"), ("order_by", "updated_at"), ("sort", "desc"))
    return (*order, ("updated_after", format_timestamp(since)))


def _commented(repository: RepositoryRef, note: NoteBody | None, raw: Raw) -> Call[FeedEvent] | None:
    """Return the call that completes a note with its thread; None for one on something else, or of GitLab itself."""
    kind = _KINDS.get(note.noteable_type or "") if note else None
    if note is None or kind is None or note.noteable_iid is None or note.system:
        return None

    def put_together(thread: ThreadBody, raw_thread: Raw) -> FeedEvent:
        return note_event(repository, note, raw, kind, thread, raw_thread)

    return _complete(repository, kind, note.noteable_iid, put_together)


def _reopened(repository: RepositoryRef, event: _Event) -> Call[FeedEvent] | None:
    if event.target_iid is None:  # it was deleted meanwhile
        return None

    def put_together(thread: ThreadBody, raw: Raw) -> FeedEvent:
        user, at = event.author, event.created_at
        return thread_event(repository, "merge_request", thread, raw, action="reopen", user=user, changed_at=at)

    return _complete(repository, "merge_request", event.target_iid, put_together)


def _item(event: _Event, call: Call[FeedEvent] | None) -> FeedItem:
    at = milliseconds(event.created_at)
    return FeedItem(str(event.id), at, at, call)


def _read(repository: RepositoryRef, kind: str) -> Callable[[Response], tuple[FeedItem, ...]]:
    """Return the function that reads a page of threads; one that is not new was changed."""

    def read(response: Response) -> tuple[FeedItem, ...]:
        found = []
        for thread, raw in zip(read_as(list[ThreadBody], response), response.content, strict=True):
            event = thread_event(repository, kind, thread, raw, action="open", user=thread.author)
            times = milliseconds(thread.created_at), milliseconds(thread.updated_at)
            found.append(FeedItem(str(thread.iid), *times, event, activity_feeds(repository, kind, thread, raw)))
        return tuple(found)

    return read


def _complete(
    repository: RepositoryRef, kind: str, number: int, put_together: Callable[[ThreadBody, Raw], FeedEvent]
) -> Call[FeedEvent]:
    """Return the call that reads the thread of an event, and puts the event together with it."""
    path = f"/{RESOURCES[kind]}/{paths.number(number)}"

    def read(response: Response) -> FeedEvent:
        return put_together(read_as(ThreadBody, response), response.content)

    request = Request(method="GET", repository=repository, path=path)
    return Call(operation="get_thread", request=request, read=read)


def _read_projects(response: Response) -> tuple[str, ...]:
    return tuple(each.path_with_namespace for each in read_as(list[_Project], response))


list_repositories = list_repository_pages(
    "/projects", (("membership", "true"), ("simple", "true"), ("archived", "false")), PAGES, _read_projects
)
