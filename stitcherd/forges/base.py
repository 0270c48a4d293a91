"""The interface of a forge: requests to send, how to read their responses, and what every kind of forge can do."""

from collections.abc import Callable, Mapping
from typing import Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Struct

from stitcherd.forges.models import (
    Access,
    AccessLevel,
    Change,
    CheckRun,
    Comment,
    CommentPage,
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

PAGE_SIZE = 100  # of lists; the most that GitHub and GitLab give

FailureKind = Literal["unreachable", "certificate", "redirected", "invalid"]
Value = TypeVar("Value")
Shape = TypeVar("Shape")


class UnexpectedResponse(Exception):
    """A response that is not JSON, or not of the documented shape; the message says where it differs."""


class RequestFailed(Exception):
    """There is no complete response, or none that may be followed or decoded; the message says how it failed.

    `unreachable`: no connection, or lost, or too slow. `certificate`: the TLS certificate is not valid for the host.
    `redirected`: to where no request of ours may go. `invalid`: too large, or not JSON. With `uncertain`, the forge may
    have done what was requested.
    """

    def __init__(self, kind: FailureKind, message: str, *, uncertain: bool = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.uncertain = uncertain


class AccountChanged(Exception):
    """The login of an account belongs to another account by now: nothing that it may do concerns the first one."""

    def __init__(self, expected: ForgeAccount, found: ForgeAccount) -> None:
        super().__init__(f"{expected.login} has the id {found.id}, not {expected.id}")
        self.expected = expected
        self.found = found


class Request(Struct, frozen=True, kw_only=True):
    """One request; `path` is percent-encoded, and follows the path of the repository unless it is `absolute`.

    A GitHub App sends it with a token for the repository and these `permissions`.
    """

    method: str
    path: str
    repository: RepositoryRef | None = None
    absolute: bool = False
    query: tuple[tuple[str, str], ...] = ()
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = {}
    permissions: Mapping[str, str] = {}

    @property
    def writes(self) -> bool:
        """Whether it changes anything at the forge."""
        return self.method != "GET"


class Response(Struct, frozen=True):
    """A complete response; `content` is its decoded JSON, None if it has none; `text` is the beginning of an error.

    `repository` is the present one if the request was redirected and that was found, `redirected` says that it was, to
    a place that keeps its method. Headers are case-insensitive.
    """

    status: int
    headers: Mapping[str, str]
    content: Any = None
    text: str = ""
    repository: Repository | None = None
    redirected: bool = False


class Call(Struct, Generic[Value], frozen=True, kw_only=True):
    """A request with the function that reads its response.

    `read` raises UnexpectedResponse, and AccountChanged where it compares an account; it is given responses with one of
    the `expected` statuses. If the forge refuses with one of `exists_with`, what was wanted may exist already:
    `existing` finds it, or returns None. `is_early` says of a refusal that the forge does not see yet what was pushed.
    """

    operation: str
    request: Request
    read: Callable[[Response], Value]
    expected: frozenset[int] = frozenset({200})
    exists_with: frozenset[int] = frozenset()
    existing: "Call[Value | None] | None" = None
    is_early: Callable[[Response], bool] | None = None


class FeedEvent(Struct, frozen=True):
    """An event in the form of its webhook: the headers that the source reads, and the body."""

    headers: Mapping[str, str]
    body: Mapping[str, Any]


class FeedItem(Struct, frozen=True):
    """One item of a list; times are in milliseconds since 1970.

    `event` is what its webhook would tell, or the call that completes it; None for what rails cannot refer to. `feeds`
    are the lists of what was done to it, which no other list has: they are read whenever it was changed.
    """

    id: str
    created_at: int
    updated_at: int
    event: FeedEvent | Call[FeedEvent] | None
    feeds: tuple["Feed", ...] = ()


class FeedPage(Struct, frozen=True):
    """A page of a list; `items` is None if they are as the ETag says, and `next_page` is None on the last one.

    The forge asks for at least `interval` seconds until the list is read again.
    """

    items: tuple[FeedItem, ...] | None
    next_page: int | None = None
    etag: str | None = None
    interval: int = 0


class RepositoryPage(Struct, frozen=True):
    """A page of the names of the repositories that a credential reaches; `next_page` is None on the last one."""

    names: tuple[str, ...]
    next_page: int | None = None


class Feed(Struct, frozen=True):
    """A list of what happened, in a repository; `name` is unique within its forge.

    `list` builds the call for the items changed since a time (ms), for a page (from 1), unless they are as the ETag
    says. The list is in the order of changes, or, with `newest_first`, in the reverse one and
    whole, whatever the time.
    """

    name: str
    list: Callable[[int, int, str | None], Call[FeedPage]]
    newest_first: bool = False
    page_size: int = PAGE_SIZE


class Checks(Struct, frozen=True):
    """Check runs, which only the Apps of GitHub may create."""

    create: Callable[[RepositoryRef, str, CheckRun], Call[str]]  # the sha of the commit; the id of the check run
    update: Callable[[RepositoryRef, str, CheckRun], Call[bool]]  # the id of the check run
    find: Callable[[RepositoryRef, str, CheckRun], Call[tuple[str, ...]]]  # the sha; the ids of those like it


class AppApi(Struct, frozen=True):
    """The API that a GitHub App uses with its own JWT."""

    get_app: Callable[[], Call[str]]  # the slug: the App's account is `slug[bot]`
    get_account: Callable[[str], Call[ForgeAccount]]  # by its login
    get_installation: Callable[[RepositoryRef], Call[str]]  # the id of the installation on a repository
    create_token: Callable[[str, RepositoryRef, Mapping[str, str]], Call["InstallationToken"]]
    get_hook_error: Callable[[], Call[str | None]]  # of the last delivery of the App's own webhook


class InstallationToken(Struct, frozen=True):
    """A token of an installation of a GitHub App; it expires at a time in milliseconds since 1970."""

    token: str
    expires_at: int

    def __repr__(self) -> str:
        return f"InstallationToken(expires_at={self.expires_at})"


class Forge(Struct, frozen=True, kw_only=True):
    """One kind of forge: pure functions from what is wanted to a call. What is None, this kind does not have.

    All of them raise InvalidReference. `rights` says, by operation and for `push`, what is to be granted, and `levels`
    the access to a repository that an account needs for it, READ where none is given. A token whose scopes are known
    needs one of `write_scopes` for whatever changes something.
    """

    kind: str
    headers: Mapping[str, str]
    rights: Mapping[str, str]
    levels: Mapping[str, AccessLevel]
    write_scopes: frozenset[str]
    authorization: Callable[[str], str]  # the value of the header, from a token
    git_host: Callable[[str], str]  # the host of its repositories, from that of its API
    git_username: str  # beside a token as the password
    repository_path: Callable[[RepositoryRef], str]
    get_user: Callable[[], Call[ForgeAccount]]  # whose token it is
    get_token: Callable[[], Call[TokenInfo]] | None  # what the forge tells of the token itself
    get_own_level: Callable[[RepositoryRef], Call[AccessLevel | None]]  # of the acting account, None if it is not told
    get_account: Callable[[RepositoryRef, str], Call[ForgeAccount | None]]  # by id: its present login
    get_access: Callable[[RepositoryRef, ForgeAccount], Call[Access]]
    add_reaction: Callable[[RepositoryRef, ReactionTarget, Reaction, ForgeAccount], Call[bool]]  # by this account
    list_comments: Callable[[RepositoryRef, ThreadRef, int, int], Call[CommentPage]]  # since (ms), page (from 1)
    create_comment: Callable[[RepositoryRef, ThreadRef, str], Call[Comment]]
    edit_comment: Callable[[RepositoryRef, ThreadRef, str, str], Call[bool]]  # the id, the new body
    delete_comment: Callable[[RepositoryRef, ThreadRef, str], Call[bool]]
    get_thread: Callable[[RepositoryRef, ThreadRef], Call[ThreadState]]
    get_change: Callable[[RepositoryRef, int], Call[Change]]
    find_change: Callable[[RepositoryRef, str, str], Call[Change | None]]  # head, base; an open one first
    create_change: Callable[[RepositoryRef, NewChange], Call[Change]]
    set_status: Callable[[RepositoryRef, str, CommitStatus], Call[bool]]  # the sha of the commit
    get_repository: Callable[[RepositoryRef], Call[Repository]]
    get_repository_by_id: Callable[[RepositoryRef], Call[Repository]]
    list_hooks: Callable[[RepositoryRef], Call[tuple[Hook, ...]]]
    list_repositories: Callable[[int], Call[RepositoryPage]]  # page (from 1); without archived ones
    feeds: Callable[[RepositoryRef], tuple[Feed, ...]]  # what happened in a repository
    checks: Checks | None = None
    app: AppApi | None = None

    @property
    def has_apps(self) -> bool:
        """Whether an App can act instead of an account."""
        return self.app is not None


def read_as(shape: type[Shape], response: Response) -> Shape:
    """Return the content of a response as a shape, whatever else is in it. Raises UnexpectedResponse."""
    try:
        return msgspec.convert(response.content, shape)
    except msgspec.ValidationError as error:
        raise UnexpectedResponse(f"the response is of another shape: {error}") from None


def read_done(shape: type[Struct]) -> Callable[[Response], bool]:
    """Return a function that returns True for a response without content, or with content of the shape."""

    def read(response: Response) -> bool:
        if response.status not in {204, 404}:
            read_as(shape, response)
        return True

    return read
