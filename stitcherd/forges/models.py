"""What forges are told and what they answer, the same for every kind of forge."""

from enum import IntEnum, StrEnum

from msgspec import Struct


class AccessLevel(IntEnum):
    """What an account may do on a repository, by the words that rails.yaml takes; each includes those before it."""

    NONE = 0
    READ = 1
    WRITE = 2
    ADMIN = 3


class Reaction(StrEnum):
    """An emoji on a thread or a comment, by its name at GitHub."""

    EYES = "eyes"
    THUMBS_DOWN = "-1"


class CommitState(StrEnum):
    """The state that a commit status shows; a forge without RUNNING shows it as PENDING."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"


class ChangeState(StrEnum):
    """The state of a change (pull request or merge request)."""

    OPEN = "open"
    CLOSED = "closed"
    MERGED = "merged"


class ForgeAccount(Struct, frozen=True):
    """An account of a forge; `login` may change and be taken by another account, `id` never."""

    id: str
    login: str


class Access(Struct, frozen=True):
    """What an account may do on a repository; `role` is the forge's own word for it."""

    account: ForgeAccount
    level: AccessLevel
    role: str


class TokenInfo(Struct, frozen=True):
    """What a forge tells of a token: its scopes, None if it has none or they are not told, and when it expires."""

    scopes: frozenset[str] | None = None
    expires: str | None = None


class RepositoryRef(Struct, frozen=True):
    """A repository, by its full name `owner/name` and, where it is known, the forge's id of it."""

    name: str
    id: str | None = None


class Repository(Struct, frozen=True):
    """A repository as the forge has it now."""

    id: str
    name: str
    default_branch: str | None = None

    @property
    def ref(self) -> RepositoryRef:
        """The repository by its present name."""
        return RepositoryRef(self.name, self.id)


class ThreadRef(Struct, frozen=True):
    """An issue or a change of a repository; `kind` is `issue` or `change`."""

    kind: str
    number: int


class ReactionTarget(Struct, frozen=True):
    """What a reaction is added to: a thread, or one of its comments; `review`: a comment on a line of a change."""

    thread: ThreadRef
    comment: str | None = None
    review: bool = False


class Comment(Struct, frozen=True, kw_only=True):
    """A comment on a thread; times are in milliseconds since 1970. `author` is None for a deleted account."""

    id: str
    author: ForgeAccount | None
    body: str
    created_at: int
    updated_at: int
    url: str | None = None


class CommentPage(Struct, frozen=True):
    """Some comments of a thread, in the forge's order; `next_page` is None on the last page."""

    comments: tuple[Comment, ...]
    next_page: int | None = None


class ThreadState(Struct, frozen=True, kw_only=True):
    """A thread as the forge has it now.

    `repository` is the full name of the one that it is in, None where the forge does not say: another one than was
    asked for means that the thread or the repository has moved. `moved`: the thread continues elsewhere.
    """

    number: int
    is_open: bool
    locked: bool
    author: ForgeAccount | None
    url: str
    repository: str | None = None
    moved: bool = False


class Change(Struct, frozen=True, kw_only=True):
    """A change as the forge has it now; `fork_gone`: the repository that it came from was deleted."""

    number: int
    state: ChangeState
    draft: bool
    url: str
    base: str
    head: str
    head_sha: str
    from_fork: bool
    fork_gone: bool
    author: ForgeAccount | None


class NewChange(Struct, frozen=True, kw_only=True):
    """A change to open, from a branch of the same repository."""

    title: str
    body: str
    base: str
    head: str
    draft: bool = False


class CommitStatus(Struct, frozen=True, kw_only=True):
    """A status to show at a commit; `context` names it, and the newest one of a context counts."""

    state: CommitState
    context: str
    description: str = ""
    url: str | None = None
    branch: str | None = None


class CheckRun(Struct, frozen=True, kw_only=True):
    """A check to show at a commit, by a GitHub App; `external_id` is that of the job, `summary` is Markdown."""

    name: str
    state: CommitState
    external_id: str
    title: str
    summary: str
    url: str | None = None


class Hook(Struct, frozen=True):
    """A webhook of a repository; `error` is what the forge says of its last delivery, None if that was delivered."""

    id: str
    url: str
    active: bool
    error: str | None = None
