"""The repositories that a credential reaches, listed page by page, for any forge."""

from collections.abc import Callable

from msgspec import Struct

from stitcherd.forges.base import Call, RepositoryPage, Request, Response, read_as
from stitcherd.forges.feed_pages import Paging, Query


class _Listed(Struct):
    full_name: str
    archived: bool = False


def list_repositories(
    path: str, query: Query, paging: Paging, names: Callable[[Response], tuple[str, ...]]
) -> Callable[[int], Call[RepositoryPage]]:
    """Return the function `list_repositories` of a forge; `names` reads the names on a page."""

    def call(page: int) -> Call[RepositoryPage]:
        def read(response: Response) -> RepositoryPage:
            if response.content is None and paging.null_is_empty:
                return RepositoryPage(())
            return RepositoryPage(names(response), page + 1 if paging.has_more(response, page) else None)

        request = Request(method="GET", path=path, query=(*query, *paging.query(page)))
        return Call(operation="list_repositories", request=request, read=read)

    return call


def read_full_names(response: Response) -> tuple[str, ...]:
    """Read the names of repositories that are not archived, as GitHub and Gitea give them."""
    return tuple(each.full_name for each in read_as(list[_Listed], response) if not each.archived)
