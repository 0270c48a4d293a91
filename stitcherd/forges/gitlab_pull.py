"""What happened in a project of GitLab, asked for, in the form of GitLab's webhooks.

The events of a project tell comments, also those on lines, and reopened merge requests; the lists of issues and merge
requests have new ones. All are read from their newest item on, since a change moves an item to that end.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from shared.ids import format_timestamp
from stitcherd.forges import paths
from stitcherd.forges.base import PAGE_SIZE, Call, Feed, FeedEvent, FeedItem, FeedPage, Request, Response, read_as
from stitcherd.forges.gitlab_hooks import NoteBody, Number, Raw, ThreadBody, Time, note_event, thread_event
from stitcherd.forges.gitlab_responses import UserBody
from stitcherd.forges.models import RepositoryRef
from stitcherd.forges.repos_responses import milliseconds

# Events are asked for since the end of a day in the time zone of the forge.
_DAYS_BEFORE = timedelta(days=2)
_RESOURCES = {"issue": "issues", "merge_request": "merge_requests"}
_KINDS = {"Issue": "issue", "MergeRequest": "merge_request"}  # by the type of what a note is on

_BY_CHANGE = (("state", "all"), ("order_by", "updated_at"))

_Query = tuple[tuple[str, str], ...]
_Items = Callable[[RepositoryRef, Response], tuple[FeedItem, ...]]


class _Event(Struct):
    id: int
    created_at: Time
    author: UserBody | None = None
    target_iid: Number | None = None
    note: NoteBody | None = None


def feeds(repository: RepositoryRef) -> tuple[Feed, ...]:
    """Return the lists of a project that are read."""
    comments = (("action", "commented"),)  # with target_type=note those in threads of a merge request are left out
    reopened = (("action", "reopened"), ("target_type", "merge_request"))
    name = repository.name.lower()
    return (
        Feed(f"comments:{name}", _list(repository, "/events", comments, _day_before, _read_comments), True),
        Feed(f"reopened:{name}", _list(repository, "/events", reopened, _day_before, _read_reopened), True),
        *(
            Feed(f"{resource}:{name}", _list(repository, f"/{resource}", _BY_CHANGE, _since, _threads_of(kind)), True)
            for kind, resource in _RESOURCES.items()
        ),
    )


def _day_before(since: int) -> _Query:
    return (("after", (datetime.fromtimestamp(since / 1000, UTC) - _DAYS_BEFORE).date().isoformat()),)


def _since(since: int) -> _Query:
    return (("updated_after", format_timestamp(since)),)


def _list(
    repository: RepositoryRef, path: str, query: _Query, by_time: Callable[[int], _Query], items: _Items
) -> Callable[[int, int, str | None], Call[FeedPage]]:
    """Return the function that builds the call for a page of a list, the newest first."""

    def call(since: int, page: int, etag: str | None) -> Call[FeedPage]:
        def read(response: Response) -> FeedPage:
            if response.status == 304:
                return FeedPage(None, None, etag)
            more = page + 1 if response.headers.get("X-Next-Page") else None
            return FeedPage(items(repository, response), more, response.headers.get("ETag"))

        shown = (("sort", "desc"), ("per_page", str(PAGE_SIZE)), ("page", str(page)))
        request = Request(
            method="GET",
            repository=repository,
            path=path,
            query=(*query, *by_time(since), *shown),
            headers={"If-None-Match": etag} if etag else {},
        )
        return Call(operation="list_news", request=request, read=read, expected=frozenset({200, 304}))

    return call


def _read_comments(repository: RepositoryRef, response: Response) -> tuple[FeedItem, ...]:
    found = []
    for event, raw in zip(read_as(list[_Event], response), response.content, strict=True):
        call = None if event.note is None else _commented(repository, event.note, raw["note"])
        found.append(_item(event, call))
    return tuple(found)


def _commented(repository: RepositoryRef, note: NoteBody, raw: Raw) -> Call[FeedEvent] | None:
    """Return the call that completes a note with its thread; None for one on something else, or of GitLab itself."""
    kind = _KINDS.get(note.noteable_type or "")
    if kind is None or note.noteable_iid is None or note.system:
        return None
    return _complete(
        repository, kind, note.noteable_iid, lambda thread, its: note_event(repository, note, raw, kind, thread, its)
    )


def _read_reopened(repository: RepositoryRef, response: Response) -> tuple[FeedItem, ...]:
    return tuple(_item(event, _reopened(repository, event)) for event in read_as(list[_Event], response))


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


def _threads_of(kind: str) -> _Items:
    """Return the function that reads a page of threads; one that is not new was changed."""

    def read(repository: RepositoryRef, response: Response) -> tuple[FeedItem, ...]:
        found = []
        for thread, raw in zip(read_as(list[ThreadBody], response), response.content, strict=True):
            event = thread_event(repository, kind, thread, raw, action="open", user=thread.author)
            times = milliseconds(thread.created_at), milliseconds(thread.updated_at)
            found.append(FeedItem(str(thread.iid), *times, event))
        return tuple(found)

    return read


def _complete(
    repository: RepositoryRef, kind: str, number: int, put_together: Callable[[ThreadBody, Raw], FeedEvent]
) -> Call[FeedEvent]:
    """Return the call that reads the thread of an event, and puts the event together with it."""
    path = f"/{_RESOURCES[kind]}/{paths.number(number)}"

    def read(response: Response) -> FeedEvent:
        return put_together(read_as(ThreadBody, response), response.content)

    request = Request(method="GET", repository=repository, path=path)
    return Call(operation="get_thread", request=request, read=read)
