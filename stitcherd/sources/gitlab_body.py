"""The fields that are read of a GitLab body; absent and null are the same, all others are ignored.

Shapes: docs.gitlab.com, "Webhook events". People are named in full only where they act, are assigned or review;
who wrote something is a bare number.
"""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from stitcherd.sources.names import Login, ProjectPath, Ref, Sha, ThreadNumber

Number = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Kind = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_]{0,99}\Z")]


class User(Struct, frozen=True):
    """An account; old versions leave out its number."""

    id: Number | None = None
    username: Login | None = None
    re_requested: bool | None = None  # of a reviewer who is asked once more


class Label(Struct, frozen=True):
    """A label."""

    title: str | None = None


class Project(Struct, frozen=True):
    """A repository."""

    path_with_namespace: ProjectPath | None = None


class Commit(Struct, frozen=True):
    """The commit that a change brings."""

    id: Sha | None = None


class Topic(Struct, frozen=True):
    """An issue or a merge request."""

    iid: ThreadNumber | UnsetType = UNSET
    title: str | None = None
    description: str | None = None
    url: str | None = None
    author_id: Number | None = None
    labels: tuple[Label | None, ...] | None = None
    confidential: bool | None = None
    source_project_id: Number | None = None
    target_project_id: Number | None = None
    target_branch: Ref | None = None
    last_commit: Commit | None = None


class Attributes(Topic, frozen=True):
    """What the event is of: an issue or a merge request itself, a note on one, or a pipeline."""

    action: str | None = None
    system: bool | None = None
    oldrev: str | None = None
    note: str | None = None
    noteable_type: str | None = None
    type: str | None = None
    internal: bool | None = None
    created_at: str | None = None
    updated_at: str | None = None
    status: str | None = None
    sha: Sha | None = None


class People(Struct, frozen=True):
    """Who was there before and after."""

    previous: tuple[User | None, ...] | None = None
    current: tuple[User | None, ...] | None = None


class Labels(Struct, frozen=True):
    """Which labels were there before and after."""

    previous: tuple[Label | None, ...] | None = None
    current: tuple[Label | None, ...] | None = None


class Changes(Struct, frozen=True):
    """What an update changed."""

    assignees: People | None = None
    reviewers: People | None = None
    labels: Labels | None = None


class Envelope(Struct, frozen=True):
    """What every event has."""

    object_kind: Kind
    event_type: str | None = None
    user: User | None = None
    user_username: Login | None = None  # of a push
    project: Project | None = None


class Body(Envelope, frozen=True):
    """What the events have for which there is a word."""

    object_attributes: Attributes | None = None
    issue: Topic | None = None
    merge_request: Topic | None = None
    labels: tuple[Label | None, ...] | None = None
    assignees: tuple[User | None, ...] | None = None
    assignee: User | None = None
    reviewers: tuple[User | None, ...] | None = None
    changes: Changes | None = None
    after: Sha | None = None
    build_status: str | None = None
    sha: Sha | None = None
