"""GitHub and GitHub Enterprise Server: REST API, version 2022-11-28."""

from typing import Any

from msgspec import Struct

from stitcherd.forges import github_app, github_pull, paths, repos_api
from stitcherd.forges.base import (
    PAGE_SIZE,
    Call,
    Checks,
    Forge,
    Request,
    Response,
    UnexpectedResponse,
    read_as,
    read_done,
)
from stitcherd.forges.models import (
    AccessLevel,
    Change,
    ChangeState,
    CheckRun,
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
    TokenInfo,
)
from stitcherd.forges.repos_responses import ChangeBody, User, read_account, read_change, read_comments

_DESCRIPTION_MAX = 140  # characters of a status
_STATES = {CommitState.RUNNING: "pending"}  # all others have the same name
_CHECKS = {
    CommitState.PENDING: {"status": "queued"},
    CommitState.RUNNING: {"status": "in_progress"},
    CommitState.SUCCESS: {"status": "completed", "conclusion": "success"},
    CommitState.FAILURE: {"status": "completed", "conclusion": "failure"},
    CommitState.ERROR: {"status": "completed", "conclusion": "failure"},
}


class _Thread(Struct):
    number: int
    state: str
    html_url: str
    repository_url: str
    locked: bool = False
    user: User | None = None


class _LastResponse(Struct):
    code: int | None = None
    message: str | None = None


class _HookConfig(Struct):
    url: str = ""


class _Hook(Struct):
    id: int
    active: bool
    config: _HookConfig
    last_response: _LastResponse | None = None


class _Id(Struct):
    id: int


class _FoundCheck(Struct):
    id: int
    external_id: str | None = None


class _CheckRuns(Struct):
    check_runs: list[_FoundCheck]


def _get_token() -> Call[TokenInfo]:
    return Call(operation="get_token", request=Request(method="GET", path="/user"), read=_read_token)


def _read_token(response: Response) -> TokenInfo:
    scopes = response.headers.get("X-OAuth-Scopes")  # only of classic tokens
    words = None if scopes is None else frozenset(word.strip() for word in scopes.split(",") if word.strip())
    return TokenInfo(words, response.headers.get("GitHub-Authentication-Token-Expiration"))


def _get_account(repository: RepositoryRef, id_: str) -> Call[ForgeAccount | None]:
    return Call(
        operation="get_account",
        request=Request(
            method="GET",
            repository=repository,
            path=f"/user/{paths.number(id_)}",
            absolute=True,
            permissions={"metadata": "read"},
        ),
        read=lambda response: None if response.status == 404 else read_account(response),
        expected=frozenset({200, 404}),
    )


def _add_reaction(
    repository: RepositoryRef, target: ReactionTarget, reaction: Reaction, _account: ForgeAccount
) -> Call[bool]:
    if target.comment is None:
        path = f"/issues/{paths.number(target.thread.number)}"
    else:
        path = f"/{'pulls' if target.review else 'issues'}/comments/{paths.number(target.comment)}"
    return repos_api.add_reaction(repository, target, reaction, path)


def _list_comments(repository: RepositoryRef, thread: ThreadRef, since: int, page: int) -> Call[CommentPage]:
    def read(response: Response) -> CommentPage:
        is_last = 'rel="next"' not in response.headers.get("Link", "")
        return CommentPage(read_comments(response), None if is_last else page + 1)

    request = repos_api.comments_request(repository, thread, since, per_page=PAGE_SIZE, page=page)
    return Call(operation="list_comments", request=request, read=read)


def _get_thread(repository: RepositoryRef, thread: ThreadRef) -> Call[ThreadState]:
    return Call(operation="get_thread", request=repos_api.thread_request(repository, thread), read=_read_thread)


def _read_thread(response: Response) -> ThreadState:
    found = read_as(_Thread, response)
    name = "/".join(found.repository_url.split("/")[-2:])
    try:
        paths.owner_and_name(name)
    except paths.InvalidReference as error:
        raise UnexpectedResponse(f"repository_url: {error}") from None
    return ThreadState(
        number=found.number,
        is_open=found.state == "open",
        locked=found.locked,
        author=found.user.account if found.user else None,
        url=found.html_url,
        repository=name,
    )


def _find_change(repository: RepositoryRef, head: str, base: str) -> Call[Change | None]:
    owner, _ = paths.owner_and_name(repository.name)

    def read(response: Response) -> Change | None:
        changes = [each.change for each in read_as(list[ChangeBody], response)]
        found = [each for each in changes if each.head == head and each.base == base and not each.from_fork]
        return min(found, key=lambda each: each.state is not ChangeState.OPEN, default=None)

    request = Request(
        method="GET",
        repository=repository,
        path="/pulls",
        query=(("head", f"{owner}:{head}"), ("base", base), ("state", "all")),
        permissions={"pull_requests": "read"},
    )
    return Call(operation="find_change", request=request, read=read)


def _create_change(repository: RepositoryRef, new: NewChange) -> Call[Change]:
    body = {"title": new.title, "body": new.body, "head": new.head, "base": new.base, "draft": new.draft}
    return Call(
        operation="create_change",
        request=repos_api.create_change_request(repository, body),
        read=read_change,
        expected=repos_api.CREATED,
        exists_with=frozenset({422}),
        existing=_find_change(repository, new.head, new.base),
    )


def _set_status(repository: RepositoryRef, sha: str, status: CommitStatus) -> Call[bool]:
    body = {
        "state": _STATES.get(status.state, status.state.value),
        "context": status.context,
        "description": status.description[:_DESCRIPTION_MAX],
    }
    return repos_api.set_status(repository, sha, body | ({"target_url": status.url} if status.url else {}))


def _list_hooks(repository: RepositoryRef) -> Call[tuple[Hook, ...]]:
    request = repos_api.hooks_request(repository, per_page=PAGE_SIZE)
    return Call(operation="list_hooks", request=request, read=_read_hooks)


def _read_hooks(response: Response) -> tuple[Hook, ...]:
    return tuple(
        Hook(str(each.id), each.config.url, each.active, _hook_error(each.last_response))
        for each in read_as(list[_Hook], response)
    )


def _hook_error(last: _LastResponse | None) -> str | None:
    if last is None or last.code is None or 200 <= last.code < 300:
        return None
    return f"{last.code}: {last.message}" if last.message else str(last.code)


def _create_check(repository: RepositoryRef, sha: str, check: CheckRun) -> Call[str]:
    return Call(
        operation="create_check",
        request=Request(
            method="POST",
            repository=repository,
            path="/check-runs",
            body=_check_body(check) | {"head_sha": paths.sha(sha)},
            permissions={"checks": "write"},
        ),
        read=lambda response: str(read_as(_Id, response).id),
        expected=repos_api.CREATED,
    )


def _update_check(repository: RepositoryRef, id_: str, check: CheckRun) -> Call[bool]:
    request = Request(
        method="PATCH",
        repository=repository,
        path=f"/check-runs/{paths.number(id_)}",
        body=_check_body(check),
        permissions={"checks": "write"},
    )
    return Call(operation="update_check", request=request, read=read_done(_Id))


def _find_checks(repository: RepositoryRef, sha: str, check: CheckRun) -> Call[tuple[str, ...]]:
    """Return the check runs of a commit with the name and the external id of one, the oldest first."""

    def read(response: Response) -> tuple[str, ...]:
        found = read_as(_CheckRuns, response).check_runs
        return tuple(sorted((str(each.id) for each in found if each.external_id == check.external_id), key=int))

    query = (("check_name", check.name), ("filter", "all"), ("per_page", str(PAGE_SIZE)))
    request = Request(
        method="GET",
        repository=repository,
        path=f"/commits/{paths.sha(sha)}/check-runs",
        query=query,
        permissions={"checks": "read"},
    )
    return Call(operation="list_checks", request=request, read=read)


def _check_body(check: CheckRun) -> dict[str, Any]:
    body: dict[str, Any] = {
        "name": check.name,
        "external_id": check.external_id,
        "output": {"title": check.title, "summary": check.summary},
        **_CHECKS[check.state],
    }
    return body | ({"details_url": check.url} if check.url else {})


FORGE = Forge(
    kind="github",
    headers={"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"},
    rights={
        "get_access": "push access to the repository, and read access to its metadata",
        "add_reaction": "write access to issues and pull requests",
        "list_comments": "read access to issues and pull requests",
        "create_comment": "write access to issues and pull requests",
        "edit_comment": "write access to issues and pull requests",
        "delete_comment": "write access to issues and pull requests",
        "set_status": "write access to commit statuses",
        "create_check": "write access to checks",
        "update_check": "write access to checks",
        "list_checks": "read access to checks",
        "create_change": "write access to pull requests and contents",
        "list_hooks": "read access to webhooks",
        "list_repositories": "read access to the metadata of the repositories",
        "list_news": "read access to issues and pull requests",
        "push": "push access to the repository, and write access to contents (a classic token: the scope repo)",
    },
    levels={
        "get_access": AccessLevel.WRITE,
        "set_status": AccessLevel.WRITE,
        "create_change": AccessLevel.WRITE,
        "list_hooks": AccessLevel.ADMIN,
    },
    write_scopes=frozenset({"repo", "public_repo"}),
    authorization=lambda token: f"Bearer {token}",
    git_host=lambda host: "github.com" if host == "api.github.com" else host,
    git_username="x-access-token",
    repository_path=repos_api.repository_path,
    get_user=repos_api.get_user,
    get_token=_get_token,
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
    list_repositories=github_pull.list_repositories,
    feeds=github_pull.feeds,
    checks=Checks(_create_check, _update_check, _find_checks),
    app=github_app.APP_API,
)
