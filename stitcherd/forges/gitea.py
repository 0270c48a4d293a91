"""Gitea from 1.22 and Forgejo from 7: API version 1, whose URL ends with /api/v1."""

from msgspec import Struct

from stitcherd.forges import paths, repos_api
from stitcherd.forges.base import Call, Forge, Request, Response, read_as
from stitcherd.forges.gitea_pull import feeds, list_repositories
from stitcherd.forges.models import (
    AccessLevel,
    Change,
    CommentPage,
    CommitState,
    CommitStatus,
    ForgeAccount,
    Hook,
    NewChange,
    Reaction,
    ReactionTarget,
    RepositoryRef,
    ThreadRef,
    ThreadState,
)
from stitcherd.forges.repos_responses import User, read_change, read_comments

_DRAFT_PREFIX = "WIP: "  # in the title: the API has no field for it
_STATES = {CommitState.RUNNING: "pending"}  # all others have the same name


class _Users(Struct):
    data: list[User]


class _RepositoryName(Struct):
    full_name: str


class _Thread(Struct):
    number: int
    state: str
    html_url: str
    is_locked: bool = False
    user: User | None = None
    repository: _RepositoryName | None = None


class _HookConfig(Struct):
    url: str = ""


class _Hook(Struct):
    id: int
    active: bool
    config: _HookConfig


def _get_account(_repository: RepositoryRef, id_: str) -> Call[ForgeAccount | None]:
    def read(response: Response) -> ForgeAccount | None:
        found = [each.account for each in read_as(_Users, response).data]
        return next((account for account in found if account.id == id_), None)

    request = Request(method="GET", path="/users/search", query=(("uid", paths.number(id_)),))
    return Call(operation="get_account", request=request, read=read)


def _add_reaction(
    repository: RepositoryRef, target: ReactionTarget, reaction: Reaction, _account: ForgeAccount
) -> Call[bool]:
    comment = target.comment
    path = paths.number(target.thread.number) if comment is None else f"comments/{paths.number(comment)}"
    return repos_api.add_reaction(repository, target, reaction, f"/issues/{path}")


def _list_comments(repository: RepositoryRef, thread: ThreadRef, since: int, _page: int) -> Call[CommentPage]:
    return Call(  # always all of them
        operation="list_comments",
        request=repos_api.comments_request(repository, thread, since),
        read=lambda response: CommentPage(read_comments(response)),
    )


def _get_thread(repository: RepositoryRef, thread: ThreadRef) -> Call[ThreadState]:
    return Call(operation="get_thread", request=repos_api.thread_request(repository, thread), read=_read_thread)


def _read_thread(response: Response) -> ThreadState:
    found = read_as(_Thread, response)
    return ThreadState(
        number=found.number,
        is_open=found.state == "open",
        locked=found.is_locked,
        author=found.user.account if found.user else None,
        url=found.html_url,
        repository=found.repository.full_name if found.repository else None,
    )


def _find_change(repository: RepositoryRef, head: str, base: str) -> Call[Change | None]:
    return Call(
        operation="find_change",
        request=Request(
            method="GET", repository=repository, path=f"/pulls/{paths.segment(base)}/{paths.segment(head)}"
        ),
        read=lambda response: None if response.status == 404 else read_change(response),
        expected=frozenset({200, 404}),
    )


def _create_change(repository: RepositoryRef, new: NewChange) -> Call[Change]:
    title = f"{_DRAFT_PREFIX}{new.title}" if new.draft else new.title
    body = {"title": title, "body": new.body, "head": new.head, "base": new.base}
    return Call(
        operation="create_change",
        request=repos_api.create_change_request(repository, body),
        read=read_change,
        expected=repos_api.CREATED,
        exists_with=frozenset({409}),
        existing=_find_change(repository, new.head, new.base),
    )


def _set_status(repository: RepositoryRef, sha: str, status: CommitStatus) -> Call[bool]:
    state = _STATES.get(status.state, status.state.value)
    body = {"state": state, "context": status.context, "description": status.description}
    return repos_api.set_status(repository, sha, body | ({"target_url": status.url} if status.url else {}))


def _list_hooks(repository: RepositoryRef) -> Call[tuple[Hook, ...]]:
    request = repos_api.hooks_request(repository, limit=50)
    return Call(operation="list_hooks", request=request, read=_read_hooks)


def _read_hooks(response: Response) -> tuple[Hook, ...]:
    return tuple(Hook(str(each.id), each.config.url, each.active) for each in read_as(list[_Hook], response))


FORGE = Forge(
    kind="gitea",
    headers={"Accept": "application/json"},
    rights={
        "get_user": "scope read:user",
        "get_account": "scope read:user",
        "get_access": "to be an administrator of the repository: only they see what others may do",
        "add_reaction": "scope write:issue",
        "list_comments": "scope read:issue",
        "create_comment": "scope write:issue",
        "edit_comment": "scope write:issue",
        "delete_comment": "scope write:issue",
        "set_status": "scope write:repository, and write access to the code",
        "create_change": "scope write:repository, and write access to pull requests",
        "list_hooks": "to be an administrator of the repository",
        "list_repositories": "scopes read:user and read:repository",
        "list_news": "scope read:issue",
        "push": "scope write:repository, and write access to the code",
    },
    levels={
        "get_access": AccessLevel.ADMIN,
        "set_status": AccessLevel.WRITE,
        "create_change": AccessLevel.WRITE,
        "list_hooks": AccessLevel.ADMIN,
    },
    write_scopes=frozenset(),  # they are told to nobody who has a token only
    authorization=lambda token: f"token {token}",
    git_host=lambda host: host,
    git_username="stitcher",
    repository_path=repos_api.repository_path,
    get_user=repos_api.get_user,
    get_token=None,
    get_own_level=repos_api.get_own_level,
    get_account=_get_account,
    get_access=repos_api.get_access,
    add_reaction=_add_reaction,
    list_comments=_list_comments,
    create_comment=repos_api.create_comment,
    edit_comment=repos_api.edit_comment,
    delete_comment=repos_api.delete_comment,
    get_thread=_get_thread,
    get_change=repos_api.get_change,
    find_change=_find_change,
    create_change=_create_change,
    set_status=_set_status,
    get_repository=repos_api.get_repository,
    get_repository_by_id=repos_api.get_repository_by_id,
    list_hooks=_list_hooks,
    list_repositories=list_repositories,
    feeds=feeds,
)
