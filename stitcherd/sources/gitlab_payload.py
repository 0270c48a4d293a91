"""Which of our words a GitLab event goes by; one update may be several things, and has one name."""

from collections.abc import Iterable
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from stitcherd.sources.text import Login, ProjectPath, Ref, Sha, ThreadNumber

# merged from stitcherd.sources.gitlab_body: The fields that are read of a GitLab body; absent and null are
# the same, all others are ignored. Shapes: docs.gitlab.com, "Webhook events". People are named in full only
# where they act, are assigned or review; who wrote something is a bare number.

GitlabId = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
EventKind = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_]{0,99}\Z")]


class GitlabUser(Struct, frozen=True):
    """An account; old versions leave out its number."""

    id: GitlabId | None = None
    username: Login | None = None
    re_requested: bool | None = None  # of a reviewer who is asked once more


class GitlabLabel(Struct, frozen=True):
    """A label."""

    title: str | None = None


class GitlabProject(Struct, frozen=True):
    """A repository."""

    path_with_namespace: ProjectPath | None = None


class GitlabCommit(Struct, frozen=True):
    """The commit that a change brings."""

    id: Sha | None = None


class GitlabThread(Struct, frozen=True):
    """An issue or a merge request."""

    iid: ThreadNumber | UnsetType = UNSET
    title: str | None = None
    description: str | None = None
    url: str | None = None
    author_id: GitlabId | None = None
    labels: tuple[GitlabLabel | None, ...] | None = None
    confidential: bool | None = None
    source_project_id: GitlabId | None = None
    target_project_id: GitlabId | None = None
    target_branch: Ref | None = None
    last_commit: GitlabCommit | None = None


class GitlabAttributes(GitlabThread, frozen=True):
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


class GitlabUsersChange(Struct, frozen=True):
    """Who was there before and after."""

    previous: tuple[GitlabUser | None, ...] | None = None
    current: tuple[GitlabUser | None, ...] | None = None


class GitlabLabelsChange(Struct, frozen=True):
    """Which labels were there before and after."""

    previous: tuple[GitlabLabel | None, ...] | None = None
    current: tuple[GitlabLabel | None, ...] | None = None


class GitlabChanges(Struct, frozen=True):
    """What an update changed."""

    assignees: GitlabUsersChange | None = None
    reviewers: GitlabUsersChange | None = None
    labels: GitlabLabelsChange | None = None


class GitlabEnvelope(Struct, frozen=True):
    """What every event has."""

    object_kind: EventKind
    event_type: str | None = None
    user: GitlabUser | None = None
    user_username: Login | None = None  # of a push
    project: GitlabProject | None = None


class GitlabPayload(GitlabEnvelope, frozen=True):
    """What the events have for which there is a word."""

    object_attributes: GitlabAttributes | None = None
    issue: GitlabThread | None = None
    merge_request: GitlabThread | None = None
    labels: tuple[GitlabLabel | None, ...] | None = None
    assignees: tuple[GitlabUser | None, ...] | None = None
    assignee: GitlabUser | None = None
    reviewers: tuple[GitlabUser | None, ...] | None = None
    changes: GitlabChanges | None = None
    after: Sha | None = None
    build_status: str | None = None
    sha: Sha | None = None


_ENDED_STATUSES = frozenset({"success", "failed", "canceled", "skipped"})
_CHANGE_ACTIONS = {
    "open": "change.opened",
    "approved": "change.review",  # by the last of those who must
    "approval": "change.review",
    "unapproved": "change.review",
    "unapproval": "change.review",
}
_NOTE_NAMES = {"Issue": "issue.comment", "MergeRequest": "change.comment"}


def event_name(seen: GitlabPayload, attributes: GitlabAttributes) -> str | None:
    """Return our word for what happened, None where there is none; an edit is nothing, nor is a note by GitLab."""
    if attributes.system:
        return None
    status = attributes.status if seen.object_kind == "pipeline" else seen.build_status
    match seen.object_kind:
        case "issue":
            name = _issue_name(seen.changes, attributes)
        case "merge_request":
            name = _change_name(seen.changes, attributes)
        case "note":
            name = _note_name(attributes) if is_new_note(attributes) else None
        case "pipeline" | "build":
            name = "check.completed" if status in _ENDED_STATUSES else None
        case _:
            name = "push"
    return name


def is_new_note(attributes: GitlabAttributes) -> bool:
    """Say whether a note was just written; versions before 16.11 send no action, not even for an edit."""
    if attributes.action is None:
        return attributes.created_at is not None and attributes.created_at == attributes.updated_at
    return attributes.action == "create"


def added_users(people: GitlabUsersChange | None) -> tuple[GitlabUser, ...]:
    """Return who came in by a change, or is asked once more."""
    if people is None:
        return ()
    before = {user.username for user in people.previous or () if user}
    current = (user for user in people.current or () if user and user.username)
    return tuple(user for user in current if user.username not in before or user.re_requested)


def label_titles(labels: Iterable[GitlabLabel | None] | None) -> tuple[str, ...]:
    """Return the names of labels."""
    return tuple(label.title for label in labels or () if label and label.title)


def _note_name(attributes: GitlabAttributes) -> str | None:
    name = _NOTE_NAMES.get(attributes.noteable_type or "")
    return "change.review_comment" if name == "change.comment" and attributes.type == "DiffNote" else name


def _issue_name(changes: GitlabChanges | None, attributes: GitlabAttributes) -> str | None:
    if attributes.action != "update" or changes is None:
        return "issue.opened" if attributes.action == "open" else None
    if added_users(changes.assignees):
        return "issue.assigned"
    return "issue.labeled" if _has_new_label(changes.labels) else None


def _change_name(changes: GitlabChanges | None, attributes: GitlabAttributes) -> str | None:
    if attributes.action != "update":
        return _CHANGE_ACTIONS.get(attributes.action or "")
    if attributes.oldrev:  # asked first, for a push is told together with changes that are none
        return "change.updated"
    if changes and added_users(changes.reviewers):
        return "change.review_requested"
    return "change.labeled" if changes and _has_new_label(changes.labels) else None


def _has_new_label(labels: GitlabLabelsChange | None) -> bool:
    return labels is not None and not set(label_titles(labels.current)) <= set(label_titles(labels.previous))
