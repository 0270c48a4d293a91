"""The calls that GitHub and Gitea have in common: Gitea's API follows that of GitHub.

The permissions are those of a GitHub App; Gitea has none.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from shared.ids import format_timestamp
from stitcherd.forges import paths
from stitcherd.forges.base import Call, Request, read_done
from stitcherd.forges.models import (
    Access,
    AccessLevel,
    Change,
    Comment,
    ForgeAccount,
    Reaction,
    ReactionTarget,
    Repository,
    RepositoryRef,
    ThreadRef,
)
from stitcherd.forges.repos_responses import (
    EditedComment,
    ReactionBody,
    StatusBody,
    read_access,
    read_account,
    read_change,
    read_comment,
    read_own_level,
    read_repository,
)

CREATED = frozenset({201})
_RESOURCES = {"issue": "issues", "change": "pull_requests"}  # a permission of Apps, by the kind of a thread


def repository_path(repository: RepositoryRef) -> str:
    """Return `/repos/owner/name`."""
    owner, name = paths.owner_and_name(repository.name)
    return f"/repos/{owner}/{name}"


def permission(thread: ThreadRef, level: str) -> dict[str, str]:
    """Return the permission to read or write a thread."""
    return {_RESOURCES[thread.kind]: level}


def get_user() -> Call[ForgeAccount]:
    """Return the call that tells whose token it is."""
    return Call(operation="get_user", request=Request(method="GET", path="/user"), read=read_account)


def get_access(repository: RepositoryRef, account: ForgeAccount) -> Call[Access]:
    """Return the call that tells what an account may do."""
    request = Request(
        method="GET",
        repository=repository,
        path=f"/collaborators/{paths.segment(account.login)}/permission",
        permissions={"metadata": "read"},
    )
    return Call(
        operation="get_access",
        request=request,
        read=lambda response: read_access(response, account),
        expected=frozenset({200, 404}),
    )


def add_reaction(repository: RepositoryRef, target: ReactionTarget, reaction: Reaction, path: str) -> Call[bool]:
    """Return the call that adds a reaction; 200 says that it was there already."""
    request = Request(
        method="POST",
        repository=repository,
        path=f"{path}/reactions",
        body={"content": reaction.value},
        permissions=permission(target.thread, "write"),
    )
    return Call(operation="add_reaction", request=request, read=read_done(ReactionBody), expected=frozenset({200, 201}))


def comments_request(repository: RepositoryRef, thread: ThreadRef, since: int, **page: int) -> Request:
    """Return the request for the comments that were changed since then."""
    values = {"since": format_timestamp(since)} | {name: str(value) for name, value in page.items()}
    return Request(
        method="GET",
        repository=repository,
        path=f"/issues/{paths.number(thread.number)}/comments",
        query=tuple(values.items()),
        permissions=permission(thread, "read"),
    )


def create_comment(repository: RepositoryRef, thread: ThreadRef, body: str) -> Call[Comment]:
    """Return the call that writes a comment."""
    request = Request(
        method="POST",
        repository=repository,
        path=f"/issues/{paths.number(thread.number)}/comments",
        body={"body": body},
        permissions=permission(thread, "write"),
    )
    return Call(operation="create_comment", request=request, read=read_comment, expected=CREATED)


def edit_comment(repository: RepositoryRef, thread: ThreadRef, comment: str, body: str) -> Call[bool]:
    """Return the call that replaces the text of a comment."""
    request = Request(
        method="PATCH",
        repository=repository,
        path=f"/issues/comments/{paths.number(comment)}",
        body={"body": body},
        permissions=permission(thread, "write"),
    )
    return Call(
        operation="edit_comment", request=request, read=read_done(EditedComment), expected=frozenset({200, 204})
    )


def delete_comment(repository: RepositoryRef, thread: ThreadRef, comment: str) -> Call[bool]:
    """Return the call that deletes a comment; one that is gone already is deleted."""
    request = Request(
        method="DELETE",
        repository=repository,
        path=f"/issues/comments/{paths.number(comment)}",
        permissions=permission(thread, "write"),
    )
    return Call(operation="delete_comment", request=request, read=read_done(Struct), expected=frozenset({204, 404}))


def thread_request(repository: RepositoryRef, thread: ThreadRef) -> Request:
    """Return the request for a thread: changes are issues too."""
    return Request(
        method="GET",
        repository=repository,
        path=f"/issues/{paths.number(thread.number)}",
        permissions=permission(thread, "read"),
    )


def get_change(repository: RepositoryRef, number: int) -> Call[Change]:
    """Return the call that reads a change."""
    request = Request(
        method="GET",
        repository=repository,
        path=f"/pulls/{paths.number(number)}",
        permissions={"pull_requests": "read"},
    )
    return Call(operation="get_change", request=request, read=read_change)


def create_change_request(repository: RepositoryRef, body: Mapping[str, Any]) -> Request:
    """Return the request that opens a change."""
    return Request(
        method="POST", repository=repository, path="/pulls", body=body, permissions={"pull_requests": "write"}
    )


def set_status(repository: RepositoryRef, sha: str, body: Mapping[str, Any]) -> Call[bool]:
    """Return the call that shows a status at a commit."""
    request = Request(
        method="POST",
        repository=repository,
        path=f"/statuses/{paths.sha(sha)}",
        body=body,
        permissions={"statuses": "write"},
    )
    return Call(operation="set_status", request=request, read=read_done(StatusBody), expected=CREATED)


def get_repository(repository: RepositoryRef) -> Call[Repository]:
    """Return the call that reads a repository, also by an earlier name, from which the forge redirects."""
    return Call(operation="get_repository", request=_repository_request(repository), read=read_repository)


def get_own_level(repository: RepositoryRef) -> Call[AccessLevel | None]:
    """Return the call that tells what the acting account may do."""
    return Call(operation="get_own_level", request=_repository_request(repository), read=read_own_level)


def get_repository_by_id(repository: RepositoryRef) -> Call[Repository]:
    """Return the call that reads a repository by its id, whatever its name is by now."""
    path = f"/repositories/{paths.number(repository.id or '')}"
    request = Request(method="GET", repository=repository, path=path, absolute=True, permissions={"metadata": "read"})
    return Call(operation="get_repository", request=request, read=read_repository)


def hooks_request(repository: RepositoryRef, **page: int) -> Request:
    """Return the request for the webhooks of a repository."""
    query = tuple((name, str(value)) for name, value in page.items())
    return Request(
        method="GET", repository=repository, path="/hooks", query=query, permissions={"repository_hooks": "read"}
    )


def _repository_request(repository: RepositoryRef) -> Request:
    return Request(method="GET", repository=repository, path="", permissions={"metadata": "read"})
