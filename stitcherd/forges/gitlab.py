"""GitLab from 16: REST API version 4, whose URL ends with /api/v4."""

from typing import Any

from msgspec import Struct

from stitcherd.forges import paths
from stitcherd.forges.base import PAGE_SIZE, Call, Forge, Request, Response, read_as, read_done
from stitcherd.forges.gitlab_pull import feeds, list_repositories
from stitcherd.forges.gitlab_responses import (
    AwardEmoji,
    EditedNote,
    ListedStatus,
    MergeRequest,
    read_access,
    read_account,
    read_change,
    read_comment,
    read_comments,
    read_hooks,
    read_own_level,
    read_project,
    read_thread,
    read_token,
)
from stitcherd.forges.models import (
    Access,
    AccessLevel,
    Change,
    ChangeState,
    Comment,
    CommentPage,
    CommitState,
    CommitStatus,
    ForgeAccount,
    Hook,
    NewChange,
    Reaction,
    ReactionTarget,
    Repository,
    RepositoryRef,
    ThreadRef,
    ThreadState,
    TokenInfo,
)

_CREATED = frozenset({201})
_THREADS = {"issue": "issues", "change": "merge_requests"}
_EMOJI = {Reaction.EYES: "eyes", Reaction.THUMBS_DOWN: "thumbsdown"}
_STATES = {CommitState.FAILURE: "failed", CommitState.ERROR: "failed"}  # all others have the same name
_DESCRIPTION_MAX = 255  # characters of a status
_DRAFT_PREFIX = "Draft: "


def _repository_path(repository: RepositoryRef) -> str:
    if repository.id is not None:
        return f"/projects/{paths.number(repository.id)}"
    return "/projects/" + "%2F".join(paths.names(repository.name))


def _get_user() -> Call[ForgeAccount]:
    return Call(operation="get_user", request=Request(method="GET", path="/user"), read=read_account)


def _get_token() -> Call[TokenInfo]:
    request = Request(method="GET", path="/personal_access_tokens/self")
    return Call(operation="get_token", request=request, read=read_token)


def _get_own_level(repository: RepositoryRef) -> Call[AccessLevel | None]:
    return Call(operation="get_own_level", request=_get(repository, ""), read=read_own_level)


def _get_account(_repository: RepositoryRef, id_: str) -> Call[ForgeAccount | None]:
    return Call(
        operation="get_account",
        request=Request(method="GET", path=f"/users/{paths.number(id_)}"),
        read=lambda response: None if response.status == 404 else read_account(response),
        expected=frozenset({200, 404}),
    )


def _get_access(repository: RepositoryRef, account: ForgeAccount) -> Call[Access]:
    return Call(
        operation="get_access",
        request=_get(repository, f"/members/all/{paths.number(account.id)}"),
        read=lambda response: read_access(response, account),
        expected=frozenset({200, 404}),
    )


def _add_reaction(
    repository: RepositoryRef, target: ReactionTarget, reaction: Reaction, account: ForgeAccount
) -> Call[bool]:
    note = "" if target.comment is None else f"/notes/{paths.number(target.comment)}"
    path, emoji = f"{_thread_path(target.thread)}{note}/award_emoji", _EMOJI[reaction]

    def find(response: Response) -> bool | None:
        mine = (each for each in read_as(list[AwardEmoji], response) if each.user.account.id == account.id)
        return any(each.name == emoji for each in mine) or None

    return Call(
        operation="add_reaction",
        request=Request(method="POST", repository=repository, path=path, body={"name": emoji}),
        read=read_done(AwardEmoji),
        expected=_CREATED,
        exists_with=frozenset({400, 404, 409, 422}),  # 404 is documented: "has already been taken"
        existing=Call(operation="list_reactions", request=_get(repository, path, per_page=PAGE_SIZE), read=find),
    )


def _list_comments(repository: RepositoryRef, thread: ThreadRef, since: int, page: int) -> Call[CommentPage]:
    request = _get(
        repository,
        f"{_thread_path(thread)}/notes",
        order_by="updated_at",
        sort="desc",
        per_page=PAGE_SIZE,
        page=page,
    )
    return Call(operation="list_comments", request=request, read=lambda found: read_comments(found, since, page))


def _create_comment(repository: RepositoryRef, thread: ThreadRef, body: str) -> Call[Comment]:
    path = f"{_thread_path(thread)}/notes"
    request = Request(method="POST", repository=repository, path=path, body={"body": body})
    return Call(operation="create_comment", request=request, read=read_comment, expected=_CREATED)


def _edit_comment(repository: RepositoryRef, thread: ThreadRef, comment: str, body: str) -> Call[bool]:
    path = f"{_thread_path(thread)}/notes/{paths.number(comment)}"
    request = Request(method="PUT", repository=repository, path=path, body={"body": body})
    return Call(operation="edit_comment", request=request, read=read_done(EditedNote))


def _delete_comment(repository: RepositoryRef, thread: ThreadRef, comment: str) -> Call[bool]:
    path = f"{_thread_path(thread)}/notes/{paths.number(comment)}"
    request = Request(method="DELETE", repository=repository, path=path)
    return Call(operation="delete_comment", request=request, read=read_done(Struct), expected=frozenset({204, 404}))


def _get_thread(repository: RepositoryRef, thread: ThreadRef) -> Call[ThreadState]:
    return Call(operation="get_thread", request=_get(repository, _thread_path(thread)), read=read_thread)


def _get_change(repository: RepositoryRef, number: int) -> Call[Change]:
    request = _get(repository, _thread_path(ThreadRef("change", number)))
    return Call(operation="get_change", request=request, read=read_change)


def _find_change(repository: RepositoryRef, head: str, base: str) -> Call[Change | None]:
    def read(response: Response) -> Change | None:
        changes = [each.change for each in read_as(list[MergeRequest], response)]
        found = [each for each in changes if each.head == head and each.base == base and not each.from_fork]
        return min(found, key=lambda each: each.state is not ChangeState.OPEN, default=None)

    request = _get(repository, "/merge_requests", source_branch=head, target_branch=base, state="all")
    return Call(operation="find_change", request=request, read=read)


def _create_change(repository: RepositoryRef, new: NewChange) -> Call[Change]:
    body = {
        "source_branch": new.head,
        "target_branch": new.base,
        "title": f"{_DRAFT_PREFIX}{new.title}" if new.draft else new.title,
        "description": new.body,
    }
    return Call(
        operation="create_change",
        request=Request(method="POST", repository=repository, path="/merge_requests", body=body),
        read=read_change,
        expected=_CREATED,
        exists_with=frozenset({409}),
        existing=_find_change(repository, new.head, new.base),
        is_early=_lacks_source,
    )


def _lacks_source(response: Response) -> bool:
    """Return whether GitLab does not see the source branch, which may take it a minute after the push."""
    errors = response.content.get("message") if isinstance(response.content, dict) else None
    return isinstance(errors, dict) and "does not exist" in str(errors.get("source_branch"))


def _set_status(repository: RepositoryRef, sha: str, status: CommitStatus) -> Call[bool]:
    state = _STATES.get(status.state, status.state.value)
    optional = {"target_url": status.url, "ref": status.branch}
    body = {"state": state, "name": status.context, "description": status.description[:_DESCRIPTION_MAX]}

    def find(response: Response) -> bool | None:
        found = (each.status for each in read_as(list[ListedStatus], response) if each.name == status.context)
        return any(each == state or _rank(each) > _rank(state) for each in found) or None

    path = f"/repository/commits/{paths.sha(sha)}/statuses"
    shown = {"name": status.context} | ({"ref": status.branch} if status.branch else {})
    return Call(
        operation="set_status",
        request=Request(
            method="POST",
            repository=repository,
            path=f"/statuses/{paths.sha(sha)}",
            body=body | {key: value for key, value in optional.items() if value},
        ),
        read=read_done(ListedStatus),
        expected=_CREATED,
        exists_with=frozenset({400}),  # "Cannot transition status": to the same state, or back from a later one
        existing=Call(operation="list_statuses", request=_get(repository, path, **shown), read=find),
    )


def _rank(state: str) -> int:
    """Return how far a status is: GitLab lets none go back, of a job that is retried for one."""
    return {"pending": 0, "running": 1}.get(state, 2)


def _get_repository(repository: RepositoryRef) -> Call[Repository]:
    return Call(operation="get_repository", request=_get(repository, ""), read=read_project)


def _get_repository_by_id(repository: RepositoryRef) -> Call[Repository]:
    request = Request(method="GET", path=f"/projects/{paths.number(repository.id or '')}")
    return Call(operation="get_repository", request=request, read=read_project)


def _list_hooks(repository: RepositoryRef) -> Call[tuple[Hook, ...]]:
    return Call(operation="list_hooks", request=_get(repository, "/hooks", per_page=PAGE_SIZE), read=read_hooks)


def _get(repository: RepositoryRef, path: str, **query: Any) -> Request:
    pairs = tuple((name, str(value)) for name, value in query.items())
    return Request(method="GET", repository=repository, path=path, query=pairs)


def _thread_path(thread: ThreadRef) -> str:
    return f"/{_THREADS[thread.kind]}/{paths.number(thread.number)}"


_WRITE_THREADS = "scope api, and at least the role Reporter"
FORGE = Forge(
    kind="gitlab",
    headers={"Accept": "application/json"},
    rights={
        "get_access": "scope read_api, and membership in the project",
        "add_reaction": _WRITE_THREADS,
        "list_comments": "scope read_api, and membership in the project",
        "create_comment": _WRITE_THREADS,
        "edit_comment": _WRITE_THREADS,
        "delete_comment": _WRITE_THREADS,
        "set_status": "scope api, and at least the role Developer",
        "create_change": "scope api, and at least the role Developer",
        "list_hooks": "scope read_api, and at least the role Maintainer",
        "list_repositories": "scope read_api",
        "list_news": "scope read_api, and membership in the project",
        "push": "scope write_repository or api, and at least the role Developer",
    },
    levels={
        "set_status": AccessLevel.WRITE,
        "create_change": AccessLevel.WRITE,
        "list_hooks": AccessLevel.ADMIN,
    },
    write_scopes=frozenset({"api"}),
    authorization=lambda token: f"Bearer {token}",
    git_host=lambda host: host,
    git_username="oauth2",
    repository_path=_repository_path,
    get_user=_get_user,
    get_token=_get_token,
    get_own_level=_get_own_level,
    get_account=_get_account,
    get_access=_get_access,
    add_reaction=_add_reaction,
    list_comments=_list_comments,
    create_comment=_create_comment,
    edit_comment=_edit_comment,
    delete_comment=_delete_comment,
    get_thread=_get_thread,
    get_change=_get_change,
    find_change=_find_change,
    create_change=_create_change,
    set_status=_set_status,
    get_repository=_get_repository,
    get_repository_by_id=_get_repository_by_id,
    list_hooks=_list_hooks,
    list_repositories=list_repositories,
    feeds=feeds,
)
