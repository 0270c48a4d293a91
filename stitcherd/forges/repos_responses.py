"""Reads the responses that GitHub and Gitea have in common, whatever fields they have besides."""

from datetime import datetime

from msgspec import Struct

from stitcherd.forges import paths
from stitcherd.forges.base import AccountChanged, Response, UnexpectedResponse, read_as
from stitcherd.forges.models import Access, AccessLevel, Change, ChangeState, Comment, ForgeAccount, Repository

_LEVELS = {
    "none": AccessLevel.NONE,
    "read": AccessLevel.READ,
    "write": AccessLevel.WRITE,
    "admin": AccessLevel.ADMIN,
    "owner": AccessLevel.ADMIN,
}


class User(Struct):
    """An account."""

    id: int
    login: str

    @property
    def account(self) -> ForgeAccount:
        """The account."""
        return ForgeAccount(str(self.id), self.login)


class ChangeBody(Struct):
    """A pull request; the lists of GitHub have no `merged`."""

    number: int
    state: str
    html_url: str
    base: "_Branch"
    head: "_Branch"
    user: User | None = None
    draft: bool | None = None
    merged: bool | None = None
    merged_at: str | None = None

    @property
    def change(self) -> Change:
        """The change."""
        merged = self.merged or self.merged_at is not None
        source, target = self.head.repo, self.base.repo
        return Change(
            number=self.number,
            state=ChangeState.MERGED if merged else ChangeState.OPEN if self.state == "open" else ChangeState.CLOSED,
            draft=bool(self.draft),
            url=self.html_url,
            base=self.base.ref,
            head=self.head.ref,
            head_sha=self.head.sha,
            from_fork=source is None or target is None or source.id != target.id,
            fork_gone=source is None,
            author=self.user.account if self.user else None,
        )


class ReactionBody(Struct):
    """A reaction."""

    content: str


class EditedComment(Struct):
    """A comment, as far as it tells that it was edited."""

    id: int
    body: str


class StatusBody(Struct):
    """A commit status."""

    context: str


class _Branch(Struct):
    ref: str
    sha: str
    repo: "_Repository | None" = None


class _Listed(Struct):
    full_name: str
    archived: bool = False


class _Repository(Struct):
    id: int
    full_name: str
    default_branch: str | None = None


class _Permissions(Struct):
    admin: bool = False
    push: bool = False
    pull: bool = False


class _OwnAccess(Struct):
    permissions: _Permissions | None = None


class _Comment(Struct):
    id: int
    created_at: datetime
    updated_at: datetime
    user: User | None = None
    body: str | None = None
    html_url: str | None = None


class _Access(Struct):
    permission: str
    user: User | None = None
    role_name: str | None = None


def read_access(response: Response, account: ForgeAccount) -> Access:
    """Read what an account may do; 404 is nothing. Raises AccountChanged if the login has another id by now."""
    if response.status == 404:
        return Access(account, AccessLevel.NONE, "not found")
    found = read_as(_Access, response)
    if found.permission not in _LEVELS:
        raise UnexpectedResponse(f"the permission {found.permission[:40]!r} is unknown")
    if found.user is None:
        raise UnexpectedResponse("the response does not say whose permission it is")
    if found.user.account.id != account.id:
        raise AccountChanged(account, found.user.account)
    return Access(found.user.account, _LEVELS[found.permission], found.role_name or found.permission)


def read_own_level(response: Response) -> AccessLevel | None:
    """Read what the acting account may do on a repository, None if it is not told."""
    found = read_as(_OwnAccess, response).permissions
    if found is None:
        return None
    if found.admin:
        return AccessLevel.ADMIN
    return AccessLevel.WRITE if found.push else AccessLevel.READ if found.pull else AccessLevel.NONE


def read_account(response: Response) -> ForgeAccount:
    """Read an account."""
    return read_as(User, response).account


def read_change(response: Response) -> Change:
    """Read a change."""
    return read_as(ChangeBody, response).change


def read_comment(response: Response) -> Comment:
    """Read a comment."""
    return _comment(read_as(_Comment, response))


def read_comments(response: Response) -> tuple[Comment, ...]:
    """Read a list of comments."""
    return tuple(map(_comment, read_as(list[_Comment], response)))


def read_repository(response: Response) -> Repository:
    """Read a repository."""
    found = read_as(_Repository, response)
    try:
        paths.owner_and_name(found.full_name)
    except paths.InvalidReference as error:
        raise UnexpectedResponse(str(error)) from None
    return Repository(str(found.id), found.full_name, found.default_branch)


def read_names(response: Response) -> tuple[str, ...]:
    """Read the names of a list of repositories, without archived ones."""
    return tuple(each.full_name for each in read_as(list[_Listed], response) if not each.archived)


def milliseconds(time: datetime) -> int:
    """Return a time in milliseconds since 1970."""
    return int(time.timestamp() * 1000)


def _comment(found: _Comment) -> Comment:
    return Comment(
        id=str(found.id),
        author=found.user.account if found.user else None,
        body=found.body or "",
        created_at=milliseconds(found.created_at),
        updated_at=milliseconds(found.updated_at),
        url=found.html_url,
    )
