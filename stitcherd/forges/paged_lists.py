"""Lists of a forge that are read page by page, for any forge; each forge says how it gives pages."""

from collections.abc import Callable, Mapping

from msgspec import Struct

from stitcherd.forges.base import Call, FeedItem, FeedPage, RepositoryPage, Request, Response
from stitcherd.forges.models import RepositoryRef

Query = tuple[tuple[str, str], ...]
Items = Callable[[Response], tuple[FeedItem, ...]]


class Paging(Struct, frozen=True):
    """How a forge gives pages: the query for one (from 1), and whether its response says that there is another.

    A GitHub App asks for them with these `permissions`. With `null_is_empty`, null is an empty list, and the last page.
    """

    query: Callable[[int], Query]
    has_more: Callable[[Response, int], bool]
    permissions: Mapping[str, str] = {}
    null_is_empty: bool = False

    def is_empty(self, response: Response) -> bool:
        """Say whether a response is an empty list that is not told as one."""
        return response.content is None and self.null_is_empty

    def next_page(self, response: Response, page: int) -> int | None:
        """Return the page after the one of a response, None if that is the last."""
        return page + 1 if self.has_more(response, page) else None


def list_pages(
    repository: RepositoryRef,
    path: str,
    paging: Paging,
    query: Callable[[int], Query],
    items: Items,
) -> Callable[[int, int, str | None], Call[FeedPage]]:
    """Return the function `list` of a feed; `query` is given the time (ms) since which items are asked for."""

    def call(since: int, page: int, etag: str | None) -> Call[FeedPage]:
        def read(response: Response) -> FeedPage:
            seconds = _interval(response)
            if response.status == 304:
                return FeedPage(None, None, etag, seconds)
            if paging.is_empty(response):
                return FeedPage(())
            return FeedPage(items(response), paging.next_page(response, page), response.headers.get("ETag"), seconds)

        request = Request(
            method="GET",
            repository=repository,
            path=path,
            query=(*query(since), *paging.query(page)),
            headers={"If-None-Match": etag} if etag else {},
            permissions=paging.permissions,
        )
        return Call(operation="list_news", request=request, read=read, expected=frozenset({200, 304}))

    return call


def list_repository_pages(
    path: str, query: Query, paging: Paging, names: Callable[[Response], tuple[str, ...]]
) -> Callable[[int], Call[RepositoryPage]]:
    """Return the function `list_repositories` of a forge; `names` reads the names on a page."""

    def call(page: int) -> Call[RepositoryPage]:
        def read(response: Response) -> RepositoryPage:
            if paging.is_empty(response):
                return RepositoryPage(())
            return RepositoryPage(names(response), paging.next_page(response, page))

        request = Request(method="GET", path=path, query=(*query, *paging.query(page)))
        return Call(operation="list_repositories", request=request, read=read)

    return call


def everything(_since: int) -> Query:
    """Return the query of a list that is always given whole."""
    return ()


def _interval(response: Response) -> int:
    """Return after how many seconds a forge wants to be asked again; only GitHub says that."""
    text = response.headers.get("X-Poll-Interval", "")
    return int(text) if text.isascii() and text.isdigit() else 0
