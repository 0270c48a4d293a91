"""The dozen fields that are read of a GitHub body; absent and null are the same, all others are ignored.

Shapes: docs.github.com, "Webhook events and payloads". Users and the repositories of forks are null once deleted.
"""

from msgspec import UNSET, Struct, UnsetType

from stitcherd.sources.names import Login, Ref, RepositoryName, Sha, ThreadNumber


class User(Struct, frozen=True):
    """An account."""

    login: Login | None = None


class Repository(Struct, frozen=True):
    """A repository."""

    full_name: RepositoryName | None = None


class Label(Struct, frozen=True):
    """A label."""

    name: str | None = None


class Present(Struct, frozen=True):
    """An object that says something by being there."""


class Head(Struct, frozen=True):
    """The commit that a change brings."""

    sha: Sha | None = None
    repo: Repository | None = None
    repo_id: int | None = None  # Gitea's


class Base(Struct, frozen=True):
    """The branch that a change wants to go into."""

    ref: Ref | None = None
    repo_id: int | None = None  # Gitea's


class Topic(Struct, frozen=True):
    """An issue or a pull request; `pull_request` marks a pull request that is shown as an issue."""

    number: ThreadNumber | UnsetType = UNSET
    title: str | None = None
    body: str | None = None
    html_url: str | None = None
    user: User | None = None
    labels: tuple[Label | None, ...] | None = None
    pull_request: Present | None = None
    head: Head | None = None
    base: Base | None = None


class Text(Struct, frozen=True):
    """A comment or a review."""

    body: str | None = None
    user: User | None = None


class Run(Struct, frozen=True):
    """A check run, a check suite or a workflow run."""

    head_sha: Sha | None = None


class Envelope(Struct, frozen=True):
    """What every event may have."""

    action: str | None = None
    sender: User | None = None
    repository: Repository | None = None


class Body(Envelope, frozen=True):
    """What the events have for which there is a word."""

    issue: Topic | None = None
    pull_request: Topic | None = None
    comment: Text | None = None
    review: Text | None = None
    assignee: User | None = None
    requested_reviewer: User | None = None
    ref: str | None = None
    after: Sha | None = None
    check_run: Run | None = None
    check_suite: Run | None = None
    workflow_run: Run | None = None
    sha: Sha | None = None
    state: str | None = None
