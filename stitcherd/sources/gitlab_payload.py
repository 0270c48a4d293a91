"""Payloads of GitLab webhooks, and the names of their events.

Only the fields listed here are read; absent and null are the same. Documentation: docs.gitlab.com, "Webhook events".
Senders, assignees and reviewers come with their names, authors only with their ids.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from stitcherd.sources.fields import AccountId, ProjectPath, Ref, Sha, ThreadNumber

_DRAFT_TITLE = re.compile(r"\[(?:draft|wip)\]|\(draft\)|(?:draft|wip):", re.IGNORECASE | re.ASCII)
_ENDED_STATUSES = frozenset({"success", "failed", "canceled", "skipped"})
_CHANGE_ACTIONS = {
    "open": "change.opened",
    "reopen": "change.opened",
    "approved": "change.review",  # the last approval that was required
    "approval": "change.review",
    "unapproved": "change.review",
    "unapproval": "change.review",
}
_NOTE_NAMES = {"Issue": "issue.comment", "MergeRequest": "change.comment"}
# The names that an event of a kind may have.
NAMES_OF_KIND: Mapping[str, frozenset[str]] = {
    "issue": frozenset({"issue.opened", "issue.assigned", "issue.labeled"}),
    "merge_request": frozenset(
        {*_CHANGE_ACTIONS.values(), "change.updated", "change.review_requested", "change.labeled"}
    ),
    "note": frozenset({"issue.comment", "change.comment", "change.review_comment"}),
    "pipeline": frozenset({"check.completed"}),
    "build": frozenset({"check.completed"}),
    "push": frozenset({"push"}),
    "tag_push": frozenset({"push"}),
}
_PUSH_KINDS = frozenset({"push", "tag_push"})


class GitlabUser(Struct, frozen=True):
    """An account; old versions leave out its id."""

    id: AccountId | None = None
    username: str | None = None
    re_requested: bool | None = None  # a reviewer whose review is requested again


class GitlabLabel(Struct, frozen=True):
    """A label."""

    title: str | None = None


class GitlabProject(Struct, frozen=True):
    """A repository."""

    path_with_namespace: ProjectPath | None = None


class GitlabCommit(Struct, frozen=True):
    """The head commit of a merge request."""

    id: Sha | None = None


class GitlabThread(Struct, frozen=True):
    """An issue or a merge request."""

    iid: ThreadNumber | UnsetType = UNSET
    title: str | None = None
    description: str | None = None
    url: str | None = None
    author_id: AccountId | None = None
    labels: tuple[GitlabLabel | None, ...] | None = None
    confidential: bool | None = None
    source_project_id: AccountId | None = None
    target_project_id: AccountId | None = None
    target_branch: Ref | None = None
    last_commit: GitlabCommit | None = None
    draft: bool | None = None
    work_in_progress: bool | None = None  # as old versions call a draft
    state: str | None = None
    discussion_locked: bool | None = None

    @property
    def is_draft(self) -> bool | None:
        """Whether a merge request is a draft, None if that is not told."""
        marked = self.work_in_progress if self.draft is None else self.draft
        return _has_draft_title(self.title) or None if marked is None else marked


class GitlabAttributes(GitlabThread, frozen=True):
    """The object of an event: an issue, a merge request, a note on either, or a pipeline."""

    action: str | None = None
    system: bool | None = None
    oldrev: str | None = None
    note: str | None = None
    noteable_type: str | None = None
    type: str | None = None
    internal: bool | None = None
    created_at: str | None = None
    updated_at: str | None = None  # also for the subject
    status: str | None = None
    sha: Sha | None = None
    id: Any = None  # of a note: only where to react


class GitlabUsersChange(Struct, frozen=True):
    """The users before and after an update."""

    previous: tuple[GitlabUser | None, ...] | None = None
    current: tuple[GitlabUser | None, ...] | None = None


class GitlabLabelsChange(Struct, frozen=True):
    """The labels before and after an update."""

    previous: tuple[GitlabLabel | None, ...] | None = None
    current: tuple[GitlabLabel | None, ...] | None = None


class GitlabFlagChange(Struct, frozen=True):
    """A flag before and after an update."""

    previous: bool | None = None
    current: bool | None = None


class GitlabTitleChange(Struct, frozen=True):
    """The title before and after an update."""

    previous: str | None = None
    current: str | None = None


class GitlabChanges(Struct, frozen=True):
    """The changes of an update."""

    assignees: GitlabUsersChange | None = None
    reviewers: GitlabUsersChange | None = None
    labels: GitlabLabelsChange | None = None
    draft: GitlabFlagChange | None = None
    title: GitlabTitleChange | None = None


class GitlabEnvelope(Struct, frozen=True):
    """The fields that any event may have."""

    object_kind: str | None = None  # system hooks, and those about groups and members, have only an event name
    event_name: str | None = None
    event_type: str | None = None
    user: GitlabUser | None = None
    user_username: str | None = None
    user_id: AccountId | None = None
    project: GitlabProject | None = None
    path_with_namespace: ProjectPath | None = None  # of the project that a system hook is about

    @property
    def kind(self) -> str | None:
        """The kind of the event, as far as the body tells."""
        return self.object_kind or self.event_name

    @property
    def sender(self) -> GitlabUser:
        """Who caused the event; of members the user's name is that of the member."""
        if self.user is not None:
            return self.user
        return GitlabUser(self.user_id, self.user_username) if self.kind in _PUSH_KINDS else GitlabUser()


class GitlabPayload(GitlabEnvelope, frozen=True):
    """The fields of the events that rails can refer to."""

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


def event_name(payload: GitlabPayload, attributes: GitlabAttributes) -> str | None:
    """Return the name of an event in rails, or None: edits and notes by GitLab itself have none.

    An update that changes several things has the name of the first that applies.
    """
    if attributes.system:
        return None
    status = attributes.status if payload.kind == "pipeline" else payload.build_status
    match payload.kind:
        case "issue":
            name = _issue_name(payload.changes, attributes)
        case "merge_request":
            name = _change_name(payload.changes, attributes)
        case "note":
            name = _note_name(attributes) if is_new_note(attributes) else None
        case "pipeline" | "build":
            name = "check.completed" if status in _ENDED_STATUSES else None
        case _:
            name = "push"
    return name


def is_new_note(attributes: GitlabAttributes) -> bool:
    """Return whether a note was just created; versions before 16.11 send no action, not even for an edit."""
    if attributes.action is None:
        return attributes.created_at is not None and attributes.created_at == attributes.updated_at
    return attributes.action == "create"


def added_users(change: GitlabUsersChange | None) -> tuple[GitlabUser, ...]:
    """Return the users that an update added, and reviewers whose review it requests again."""
    if change is None:
        return ()
    before = {user.username for user in change.previous or () if user}
    current = (user for user in change.current or () if user and user.username)
    return tuple(user for user in current if user.username not in before or user.re_requested)


def added_labels(change: GitlabLabelsChange | None) -> tuple[str, ...]:
    """Return the titles of the labels that an update added."""
    if change is None:
        return ()
    before = set(label_titles(change.previous))
    return tuple(title for title in label_titles(change.current) if title not in before)


def label_titles(labels: Iterable[GitlabLabel | None] | None) -> tuple[str, ...]:
    """Return the titles of labels."""
    return tuple(label.title for label in labels or () if label and label.title)


def _note_name(attributes: GitlabAttributes) -> str | None:
    name = _NOTE_NAMES.get(attributes.noteable_type or "")
    return "change.review_comment" if name == "change.comment" and attributes.type == "DiffNote" else name


def _issue_name(changes: GitlabChanges | None, attributes: GitlabAttributes) -> str | None:
    if attributes.action != "update" or changes is None:
        return "issue.opened" if attributes.action == "open" else None
    if added_users(changes.assignees):
        return "issue.assigned"
    return "issue.labeled" if added_labels(changes.labels) else None


def _change_name(changes: GitlabChanges | None, attributes: GitlabAttributes) -> str | None:
    if attributes.action != "update":
        return _CHANGE_ACTIONS.get(attributes.action or "")
    if attributes.oldrev:  # first: a push also lists changes that are none
        return "change.updated"
    if changes and _became_ready(changes):
        return "change.opened"
    if changes and added_users(changes.reviewers):
        return "change.review_requested"
    return "change.labeled" if changes and added_labels(changes.labels) else None


def _became_ready(changes: GitlabChanges) -> bool:
    """Return whether an update made a draft ready for review; old versions tell it by the title alone."""
    if changes.draft is not None:
        return changes.draft.previous is True and changes.draft.current is False
    title = changes.title
    return title is not None and _has_draft_title(title.previous) and not _has_draft_title(title.current)


def _has_draft_title(title: str | None) -> bool:
    return title is not None and _DRAFT_TITLE.match(title) is not None
