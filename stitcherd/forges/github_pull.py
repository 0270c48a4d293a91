"""What happened in a repository of GitHub, asked for, in the form of GitHub's webhooks.

The objects of the REST API are those of the webhooks. Three lists of the repository have what starts jobs: comments,
events of issues and pull requests with who caused them, and new threads. Each pull request that changed has a list of
its reviews, and each new review one of its comments on lines: these are dated to when they were written, which is not
when the review was submitted, so that the repository's list of them does not tell which are new.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from msgspec import Meta, Struct

from shared.ids import format_timestamp
from stitcherd.forges import paths
from stitcherd.forges.base import PAGE_SIZE, Call, Feed, FeedEvent, FeedItem, FeedPage, Request, Response, read_as
from stitcherd.forges.models import RepositoryRef
from stitcherd.forges.paged_lists import Paging, Query, everything, list_pages, list_repository_pages
from stitcherd.forges.repos_responses import milliseconds, read_names

_OF_ISSUES = frozenset({"assigned", "labeled"})  # the events of issues that rails can refer to
_OF_CHANGES = frozenset({"labeled", "review_requested", "reopened", "ready_for_review"})
_CAUSED_BY = ("assigner", "review_requester", "actor")  # the first that an event has
_PERMISSIONS = {"issues": "read", "pull_requests": "read"}

_Raw = Mapping[str, Any]
_Number = Annotated[int, Meta(gt=0)]


def _page_query(page: int) -> Query:
    return ("per_page", str(PAGE_SIZE)), ("page", str(page))


def _has_more(response: Response, _page: int) -> bool:
    return 'rel="next"' in response.headers.get("Link", "")


_PAGES = Paging(_page_query, _has_more, _PERMISSIONS)


class _Comment(Struct):
    id: int
    created_at: datetime
    updated_at: datetime
    issue_url: Annotated[str, Meta(pattern=r"/[1-9][0-9]{0,17}\Z")]


class _Thread(Struct):
    id: int
    number: _Number
    created_at: datetime
    updated_at: datetime
    pull_request: dict[str, Any] | None = None


class _NumberedThread(Struct):
    number: _Number
    pull_request: dict[str, Any] | None = None


class _Review(Struct):
    id: _Number
    state: str
    submitted_at: datetime | None = None  # of one that is pending


class _LineComment(Struct):
    id: int


class _Event(Struct):
    id: int
    event: str
    created_at: datetime
    issue: _NumberedThread | None = None  # of a thread that was deleted


def feeds(repository: RepositoryRef) -> tuple[Feed, ...]:
    """Return the lists of a repository that are read."""
    name = repository.name.lower()
    comments, events, threads = (partial(read, repository) for read in (_read_comments, _read_events, _read_threads))
    return (
        Feed(f"comments:{name}", list_pages(repository, "/issues/comments", _PAGES, _by_change, comments)),
        Feed(f"events:{name}", list_pages(repository, "/issues/events", _PAGES, everything, events), newest_first=True),
        Feed(f"threads:{name}", list_pages(repository, "/issues", _PAGES, _with_closed, threads)),
    )


def _by_change(since: int) -> Query:
    return ("sort", "updated"), ("direction", "asc"), ("since", f"{format_timestamp(since)[:19]}Z")


def _with_closed(since: int) -> Query:
    return (*_by_change(since), ("state", "all"))


def _read_comments(repository: RepositoryRef, response: Response) -> tuple[FeedItem, ...]:
    return tuple(
        FeedItem(
            str(comment.id),
            milliseconds(comment.created_at),
            milliseconds(comment.updated_at),
            _complete(
                repository, "issue", comment.issue_url.rpartition("/")[2], "issue_comment", _comment_created(raw)
            ),
        )
        for comment, raw in zip(read_as(list[_Comment], response), response.content, strict=True)
    )


def _comment_created(comment: _Raw) -> dict[str, Any]:
    return {"action": "created", "comment": comment, "sender": comment.get("user")}


def _read_threads(repository: RepositoryRef, response: Response) -> tuple[FeedItem, ...]:
    """Return the threads of a page; one that is not new was changed, and the other lists tell what happened."""
    found = []
    for thread, raw in zip(read_as(list[_Thread], response), response.content, strict=True):
        opened = {"action": "opened", "sender": raw.get("user")}
        event: FeedEvent | Call[FeedEvent]
        feeds: tuple[Feed, ...] = ()
        if thread.pull_request is None:
            event = _event(repository, "issues", opened | {"issue": raw})
        else:
            event = _complete(repository, "pull_request", thread.number, "pull_request", opened)
            feeds = (_reviews(repository, thread.number),)
        times = milliseconds(thread.created_at), milliseconds(thread.updated_at)
        found.append(FeedItem(str(thread.id), *times, event, feeds))
    return tuple(found)


def _reviews(repository: RepositoryRef, number: int) -> Feed:
    path = f"/pulls/{paths.number(number)}/reviews"

    def call(since: int, page: int, etag: str | None) -> Call[FeedPage]:
        read = partial(_read_reviews, repository, number, since)
        return list_pages(repository, path, _PAGES, everything, read)(since, page, etag)

    return Feed(f"reviews:{repository.name.lower()}!{number}", call)


def _read_reviews(repository: RepositoryRef, number: int, since: int, response: Response) -> tuple[FeedItem, ...]:
    """Return the reviews that were submitted since a time (ms); the list of GitHub has all."""
    found = []
    for review, raw in zip(read_as(list[_Review], response), response.content, strict=True):
        at = milliseconds(review.submitted_at) if review.submitted_at else None
        if at is None or at < since:
            continue
        shown = {**raw, "state": review.state.lower()}  # as the webhook has it
        body = {"action": "submitted", "review": shown, "sender": raw.get("user")}
        event = _complete(repository, "pull_request", number, "pull_request_review", body)
        feeds = (_line_comments(repository, number, review.id, at),)
        found.append(FeedItem(f"review:{review.id}", at, at, event, feeds))
    return tuple(found)


def _line_comments(repository: RepositoryRef, number: int, review: int, submitted_at: int) -> Feed:
    path = f"/pulls/{paths.number(number)}/reviews/{paths.number(review)}/comments"
    read = partial(_read_line_comments, repository, number, submitted_at)
    pages = list_pages(repository, path, _PAGES, everything, read)
    return Feed(f"review-comments:{repository.name.lower()}!{number}:{review}", pages)


def _read_line_comments(
    repository: RepositoryRef, number: int, submitted_at: int, response: Response
) -> tuple[FeedItem, ...]:
    """Return the comments of a review, which became visible when it was submitted (ms)."""
    return tuple(
        FeedItem(
            f"review-comment:{comment.id}",
            submitted_at,
            submitted_at,
            _complete(repository, "pull_request", number, "pull_request_review_comment", _comment_created(raw)),
        )
        for comment, raw in zip(read_as(list[_LineComment], response), response.content, strict=True)
    )


def _read_events(repository: RepositoryRef, response: Response) -> tuple[FeedItem, ...]:
    found = []
    for event, raw in zip(read_as(list[_Event], response), response.content, strict=True):
        at = milliseconds(event.created_at)
        found.append(FeedItem(str(event.id), at, at, _of_event(repository, event, raw)))
    return tuple(found)


def _of_event(repository: RepositoryRef, event: _Event, raw: _Raw) -> FeedEvent | Call[FeedEvent] | None:
    """Return an event with the time at which it changed its thread, as the webhook has it; None if none wants it."""
    if event.issue is None:
        return None
    known = {name: raw[name] for name in ("assignee", "label", "requested_reviewer") if name in raw}
    sender = next((raw[name] for name in _CAUSED_BY if raw.get(name) is not None), None)
    body = {"action": event.event, "sender": sender, **known}
    changed = {"updated_at": raw["created_at"]}
    if event.issue.pull_request is not None:
        if event.event not in _OF_CHANGES:
            return None
        return _complete(repository, "pull_request", event.issue.number, "pull_request", body, changed)
    if event.event not in _OF_ISSUES:
        return None
    return _event(repository, "issues", body | {"issue": {**raw["issue"], **changed}})


def _complete(
    repository: RepositoryRef, field: str, number: str | int, name: str, body: _Raw, changed: _Raw | None = None
) -> Call[FeedEvent]:
    """Return the call that completes an event with its thread."""
    resource = {"issue": "issues", "pull_request": "pulls"}[field]

    def read(response: Response) -> FeedEvent:
        thread = read_as(dict[str, Any], response)
        return _event(repository, name, {**body, field: {**thread, **(changed or {})}})

    request = Request(
        method="GET", repository=repository, path=f"/{resource}/{paths.number(number)}", permissions=_PERMISSIONS
    )
    return Call(operation="get_thread", request=request, read=read)


def _event(repository: RepositoryRef, name: str, body: _Raw) -> FeedEvent:
    headers = {"Content-Type": "application/json", "X-GitHub-Event": name}
    return FeedEvent(headers, {**body, "repository": {"full_name": repository.name}})


list_repositories = list_repository_pages("/user/repos", (("sort", "full_name"),), _PAGES, read_names)
