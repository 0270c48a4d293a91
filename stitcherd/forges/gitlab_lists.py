"""Reads lists of GitLab page by page."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from msgspec import Meta

from stitcherd.forges.base import PAGE_SIZE, Call, FeedItem, FeedPage, Request, Response
from stitcherd.forges.models import RepositoryRef

Number = Annotated[int, Meta(gt=0, lt=10**18)]
Time = Annotated[datetime, Meta(tz=True)]
Query = tuple[tuple[str, str], ...]
Items = Callable[[Response], tuple[FeedItem, ...]]


def list_pages(
    repository: RepositoryRef, path: str, query: Callable[[int], Query], items: Items
) -> Callable[[int, int, str | None], Call[FeedPage]]:
    """Return the function `list` of a feed; `query` is given the time (ms) since which items are asked for."""

    def call(since: int, page: int, etag: str | None) -> Call[FeedPage]:
        def read(response: Response) -> FeedPage:
            if response.status == 304:
                return FeedPage(None, None, etag)
            more = page + 1 if response.headers.get("X-Next-Page") else None
            return FeedPage(items(response), more, response.headers.get("ETag"))

        request = Request(
            method="GET",
            repository=repository,
            path=path,
            query=(*query(since), ("per_page", str(PAGE_SIZE)), ("page", str(page))),
            headers={"If-None-Match": etag} if etag else {},
        )
        return Call(operation="list_news", request=request, read=read, expected=frozenset({200, 304}))

    return call
