"""Reads the responses of GitLab, whatever fields they have besides."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from stitcherd.forges import paths
from stitcherd.forges.base import PAGE_SIZE, AccountChanged, Response, UnexpectedResponse, read_as
from stitcherd.forges.models import (
    Access,
    AccessLevel,
    Change,
    ChangeState,
    Comment,
    CommentPage,
    ForgeAccount,
    Hook,
    Repository,
    ThreadState,
    TokenInfo,
)
from stitcherd.forges.paged_lists import Paging, Query

_LEVELS = ((40, AccessLevel.ADMIN), (30, AccessLevel.WRITE), (20, AccessLevel.READ))  # the lowest number of each
_ACTIVE = "active"

Number = Annotated[int, Meta(gt=0, lt=10**18)]
Time = Annotated[datetime, Meta(tz=True)]


def _page_query(page: int) -> Query:
    return ("per_page", str(PAGE_SIZE)), ("page", str(page))


def _has_more(response: Response, _page: int) -> bool:
    return bool(response.headers.get("X-Next-Page"))


PAGES = Paging(_page_query, _has_more)


class UserBody(Struct):
    """An account."""

    id: int
    username: str

    @property
    def account(self) -> ForgeAccount:
        """The account."""
        return ForgeAccount(str(self.id), self.username)


class MergeRequest(Struct):
    """A merge request."""

    iid: int
    state: str
    web_url: str
    source_branch: str
    target_branch: str
    target_project_id: int
    source_project_id: int | None = None
    sha: str | None = None
    draft: bool = False
    author: UserBody | None = None

    @property
    def change(self) -> Change:
        """The change."""
        states = {"merged": ChangeState.MERGED, "closed": ChangeState.CLOSED}  # others: opened, and locked for a merge
        return Change(
            number=self.iid,
            state=states.get(self.state, ChangeState.OPEN),
            draft=self.draft,
            url=self.web_url,
            base=self.target_branch,
            head=self.source_branch,
            head_sha=self.sha or "",
            from_fork=self.source_project_id != self.target_project_id,
            fork_gone=self.source_project_id is None,
            author=self.author.account if self.author else None,
        )


class AwardEmoji(Struct):
    """A reaction."""

    name: str
    user: UserBody


class EditedNote(Struct):
    """A note, as far as it tells that it was edited."""

    id: int
    body: str


class ListedStatus(Struct):
    """A commit status."""

    name: str
    status: str


class _Member(Struct):
    id: int
    username: str
    state: str
    access_level: int
    membership_state: str = _ACTIVE


class _Note(Struct):
    id: int
    body: str
    created_at: datetime
    updated_at: datetime
    author: UserBody | None = None
    system: bool = False


class _References(Struct):
    full: str


class _Thread(Struct):
    iid: int
    state: str
    web_url: str
    discussion_locked: bool | None = None
    author: UserBody | None = None
    references: _References | None = None
    moved_to_id: int | None = None


class _Project(Struct):
    id: int
    path_with_namespace: str
    default_branch: str | None = None


class _Membership(Struct):
    access_level: int


class _Permissions(Struct):
    project_access: _Membership | None = None
    group_access: _Membership | None = None


class _OwnAccess(Struct):
    permissions: _Permissions | None = None


class _Token(Struct):
    scopes: list[str]
    expires_at: str | None = None


class _Hook(Struct):
    id: int
    url: str
    alert_status: str = "executable"
    disabled_until: str | None = None


def read_account(response: Response) -> ForgeAccount:
    """Read an account."""
    return read_as(UserBody, response).account


def read_access(response: Response, account: ForgeAccount) -> Access:
    """Read a member, direct or inherited; 404 is nothing, as is an account that is blocked or not accepted yet."""
    if response.status == 404:
        return Access(account, AccessLevel.NONE, "not found")
    found = read_as(_Member, response)
    member = ForgeAccount(str(found.id), found.username)
    if member.id != account.id:
        raise AccountChanged(account, member)
    for state in (found.state, found.membership_state):
        if state != _ACTIVE:
            return Access(member, AccessLevel.NONE, state[:40])
    return Access(member, _level(found.access_level), f"access level {found.access_level}")


def read_own_level(response: Response) -> AccessLevel | None:
    """Read what the acting account may do on a project, by itself or by a group; None if it is not told."""
    found = read_as(_OwnAccess, response).permissions
    if found is None:
        return None
    memberships = (found.project_access, found.group_access)
    return max((_level(each.access_level) for each in memberships if each), default=AccessLevel.NONE)


def read_token(response: Response) -> TokenInfo:
    """Read what a token may do, and the day on which it expires."""
    found = read_as(_Token, response)
    return TokenInfo(frozenset(found.scopes), found.expires_at)


def read_change(response: Response) -> Change:
    """Read a merge request."""
    return read_as(MergeRequest, response).change


def read_comment(response: Response) -> Comment:
    """Read a note."""
    return _comment(read_as(_Note, response))


def read_comments(response: Response, since: int, page: int) -> CommentPage:
    """Read a page of notes, the last changed first, without GitLab's own; there is no next one for earlier notes."""
    notes = [(note.system, _comment(note)) for note in read_as(list[_Note], response)]
    more = _has_more(response, page) and bool(notes) and notes[-1][1].updated_at >= since
    kept = tuple(comment for system, comment in notes if not system and comment.updated_at >= since)
    return CommentPage(kept, page + 1 if more else None)


def read_thread(response: Response) -> ThreadState:
    """Read an issue or a merge request."""
    found = read_as(_Thread, response)
    return ThreadState(
        number=found.iid,
        is_open=found.state == "opened",
        locked=bool(found.discussion_locked),
        author=found.author.account if found.author else None,
        url=found.web_url,
        repository=_repository_of(found.references),
        moved=found.moved_to_id is not None,
    )


def read_project(response: Response) -> Repository:
    """Read a project."""
    found = read_as(_Project, response)
    _require_name(found.path_with_namespace)
    return Repository(str(found.id), found.path_with_namespace, found.default_branch)


def read_hooks(response: Response) -> tuple[Hook, ...]:
    """Read the webhooks of a project."""
    return tuple(
        Hook(str(each.id), each.url, each.alert_status == "executable", _hook_error(each))
        for each in read_as(list[_Hook], response)
    )


def _level(number: int) -> AccessLevel:
    return next((level for lowest, level in _LEVELS if number >= lowest), AccessLevel.NONE)


def _hook_error(hook: _Hook) -> str | None:
    if hook.alert_status == "executable":
        return None
    return hook.alert_status + (f" until {hook.disabled_until}" if hook.disabled_until else "")


def _repository_of(references: _References | None) -> str | None:
    if references is None:
        return None
    name = references.full.replace("!", "#").partition("#")[0]
    _require_name(name)
    return name


def _require_name(name: str) -> None:
    try:
        paths.names(name)
    except paths.InvalidReference as error:
        raise UnexpectedResponse(str(error)) from None


def _comment(note: _Note) -> Comment:
    return Comment(
        id=str(note.id),
        author=note.author.account if note.author else None,
        body=note.body,
        created_at=int(note.created_at.timestamp() * 1000),
        updated_at=int(note.updated_at.timestamp() * 1000),
    )
