"""Puts the objects of GitLab's API together in the form of its webhooks, which name some fields otherwise; pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct, to_builtins

from stitcherd.forges.base import FeedEvent
from stitcherd.forges.gitlab_responses import Number, Time, UserBody
from stitcherd.forges.models import RepositoryRef

_HOOKS = {"issue": "Issue Hook", "merge_request": "Merge Request Hook", "note": "Note Hook"}
_OF_THREADS = ("id", "iid", "title", "description", "state", "confidential", "discussion_locked", "created_at", "draft")
_OF_CHANGES = ("work_in_progress", "source_project_id", "target_project_id", "source_branch", "target_branch")
_OF_NOTES = ("id", "type", "noteable_type", "system", "created_at", "updated_at")

Raw = Mapping[str, Any]


class ThreadBody(Struct):
    """An issue or a merge request, as far as a webhook has it otherwise or the lists are read by it."""

    iid: Number
    created_at: Time
    updated_at: Time
    author: UserBody | None = None
    assignees: list[UserBody] | None = None
    reviewers: list[UserBody] | None = None
    labels: list[str] | None = None
    web_url: str | None = None
    sha: str | None = None
    confidential: bool | None = None


class NoteBody(Struct):
    """A note, as far as a webhook has it otherwise or the lists are read by it."""

    id: int
    body: str
    author: UserBody | None = None
    noteable_type: str | None = None
    noteable_iid: Number | None = None
    system: bool = False
    internal: bool | None = None
    confidential: bool | None = None  # as versions before 15.5 call an internal note


def thread_event(
    repository: RepositoryRef,
    kind: str,
    thread: ThreadBody,
    raw: Raw,
    *,
    action: str,
    user: UserBody | None,
    changed_at: datetime | None = None,
    changes: Raw | None = None,
) -> FeedEvent:
    """Return what `user` did to a thread, `raw`, as its webhook tells it; `changes` are those of an update.

    With `changed_at`, the thread was changed then, and may have been again since.
    """
    attributes = {**_attributes(thread, raw, changed_at), "action": action}
    more = {"labels": attributes["labels"], "changes": changes or {}}
    for name, accounts in (("assignees", thread.assignees), ("reviewers", thread.reviewers)):
        if accounts is not None:
            more[name] = [_user(each) for each in accounts]
    return _event(repository, kind, user, {"object_attributes": attributes, **more}, hidden=thread.confidential)


def note_event(
    repository: RepositoryRef, note: NoteBody, raw_note: Raw, kind: str, thread: ThreadBody, raw_thread: Raw
) -> FeedEvent:
    """Return a new note on a thread as its webhook tells it."""
    internal = bool(note.internal or note.confidential)
    attributes = {
        **_copied(raw_note, _OF_NOTES),
        "note": note.body,
        "author_id": None if note.author is None else note.author.id,
        "internal": internal,
        "action": "create",
    }
    body = {"object_attributes": attributes, kind: _attributes(thread, raw_thread)}
    return _event(repository, "note", note.author, body, hidden=internal or thread.confidential)


def _event(repository: RepositoryRef, kind: str, user: UserBody | None, body: Raw, *, hidden: bool | None) -> FeedEvent:
    headers = {
        "Content-Type": "application/json",
        "X-Gitlab-Event": f"{'Confidential ' if hidden else ''}{_HOOKS[kind]}",
    }
    envelope = {
        "object_kind": kind,
        "event_type": f"{'confidential_' if hidden else ''}{kind}",
        "user": None if user is None else _user(user),
        "project": {"path_with_namespace": repository.name},
    }
    return FeedEvent(headers, envelope | dict(body))


def _attributes(thread: ThreadBody, raw: Raw, changed_at: datetime | None = None) -> dict[str, Any]:
    # What follows a change, such as the note that tells of it, is made after it: an earlier change of the thread is it.
    updated_at = thread.updated_at if changed_at is None else min(thread.updated_at, changed_at)
    attributes = {
        **_copied(raw, _OF_THREADS + _OF_CHANGES),
        "author_id": None if thread.author is None else thread.author.id,
        "labels": [{"title": title} for title in thread.labels or ()],
        "url": thread.web_url,
        "updated_at": updated_at.isoformat(),
    }
    return attributes if thread.sha is None else attributes | {"last_commit": {"id": thread.sha}}


def _copied(raw: Raw, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: raw[name] for name in names if name in raw}


def _user(user: UserBody) -> dict[str, Any]:
    found: dict[str, Any] = to_builtins(user)
    return found
