"""What happened in a repository of Gitea or Forgejo, asked for, in the form of their webhooks.

Two lists of a repository have its comments and its threads, those that changed since a time: comments in the order in
which they were created, threads in the reverse one. What was done to a thread is in a list of the thread, its timeline.
Comments on lines are in neither; Gitea tells them with their review.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from shared.ids import format_timestamp
from stitcherd.forges import paths
from stitcherd.forges.base import (
    Call,
    Feed,
    FeedEvent,
    FeedItem,
    Request,
    Response,
    UnexpectedResponse,
    read_as,
)
from stitcherd.forges.gitea_timeline import ListedThread, Raw, timeline_items, webhook_event
from stitcherd.forges.models import RepositoryRef
from stitcherd.forges.paged_lists import Paging, Query, list_pages, list_repository_pages
from stitcherd.forges.repos_responses import milliseconds, read_names

_PAGE_SIZE = 50  # the most that Gitea gives; an administrator may have set less

_NUMBER = re.compile(r"/([1-9][0-9]{0,17})\Z")  # of a thread, at the end of its URL


def _page_query(page: int) -> Query:
    return ("page", str(page)), ("limit", str(_PAGE_SIZE))


def _has_more(response: Response, page: int) -> bool:
    """Say whether there may be another page: one may be smaller than asked for, and the total counts hidden items."""
    total = response.headers.get("X-Total-Count", "")
    shown = len(response.content)
    if not (total.isascii() and total.isdigit()):
        return shown > 0
    return (shown > 0 and (page > 1 or shown < int(total))) or page * _PAGE_SIZE < int(total)


_PAGES = Paging(_page_query, _has_more, null_is_empty=True)
# Without a page in its query, a timeline is given whole. In pages nothing would tell that there is another one, since
# the total that Gitea gives for a timeline is the number of items on the page.
_WHOLE = Paging(lambda _page: (), lambda _response, _page: False, null_is_empty=True)


class _Comment(Struct):
    id: int
    created_at: datetime
    issue_url: str = ""
    pull_request_url: str = ""


def feeds(repository: RepositoryRef) -> tuple[Feed, ...]:
    """Return the lists of a repository that are read."""

    def comments(response: Response) -> tuple[FeedItem, ...]:
        found = zip(read_as(list[_Comment], response), response.content, strict=True)
        return tuple(_comment_item(repository, comment, raw) for comment, raw in found)

    def threads(response: Response) -> tuple[FeedItem, ...]:
        found = zip(read_as(list[ListedThread], response), response.content, strict=True)
        return tuple(_thread_item(repository, thread, raw) for thread, raw in found)

    name = repository.name.lower()
    return (
        Feed(
            f"comments:{name}",
            list_pages(repository, "/issues/comments", _PAGES, _since, comments),
            page_size=_PAGE_SIZE,
        ),
        Feed(
            f"threads:{name}",
            list_pages(repository, "/issues", _PAGES, _with_closed, threads),
            newest_first=True,
            page_size=_PAGE_SIZE,
        ),
    )


def _since(time: int) -> Query:
    return (("since", f"{format_timestamp(time)[:19]}Z"),)


def _with_closed(time: int) -> Query:
    return (("state", "all"), *_since(time))


def _comment_item(repository: RepositoryRef, comment: _Comment, raw: Raw) -> FeedItem:
    """Return a comment with the time of its creation alone: only that tells how far the list was read."""
    on_change = bool(comment.pull_request_url)
    number = _NUMBER.search(comment.pull_request_url or comment.issue_url)
    if number is None:
        raise UnexpectedResponse(f"comment {comment.id} names no thread")
    body = {"action": "created", "comment": raw, "sender": raw.get("user"), "is_pull": on_change}
    name = "pull_request_comment" if on_change else "issue_comment"
    event = _complete(repository, "issue", int(number[1]), name, body)
    at = milliseconds(comment.created_at)
    return FeedItem(str(comment.id), at, at, event)


def _thread_item(repository: RepositoryRef, thread: ListedThread, raw: Raw) -> FeedItem:
    """Return a thread as its opening, with the list of what was done to it; one that is not new was changed."""

    def of_thread(name: str, body: Raw, changed: Raw) -> FeedEvent | Call[FeedEvent]:
        if thread.is_change:
            return _complete(repository, "pull_request", thread.number, name, body, changed)
        return webhook_event(repository, name, {**body, "issue": {**raw, **changed}, "number": thread.number})

    def timeline(response: Response) -> tuple[FeedItem, ...]:
        return timeline_items(thread, raw, response, of_thread)

    name = "pull_request" if thread.is_change else "issues"
    opened = of_thread(name, {"action": "opened", "sender": raw.get("user")}, {})
    times = milliseconds(thread.created_at), milliseconds(thread.updated_at)
    path = f"/issues/{paths.number(thread.number)}/timeline"
    inner = Feed(f"timeline:{thread.number}", list_pages(repository, path, _WHOLE, _since, timeline))
    return FeedItem(f"thread:{thread.number}", *times, opened, (inner,))


def _complete(
    repository: RepositoryRef, field: str, number: int, name: str, body: Raw, changed: Mapping[str, Any] = {}
) -> Call[FeedEvent]:
    """Return the call that completes an event with its thread."""
    resource = {"issue": "issues", "pull_request": "pulls"}[field]

    def read(response: Response) -> FeedEvent:
        thread = read_as(dict[str, Any], response)
        return webhook_event(repository, name, {**body, field: {**thread, **changed}, "number": number})

    request = Request(method="GET", repository=repository, path=f"/{resource}/{paths.number(number)}")
    return Call(operation="get_thread", request=request, read=read)


list_repositories = list_repository_pages("/user/repos", (), _PAGES, read_names)
