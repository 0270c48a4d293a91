"""Which of our words a GitLab event goes by; one update may be several things, and has one name."""

from collections.abc import Iterable

from stitcherd.sources.gitlab_body import Attributes, Body, Changes, Label, Labels, People, User

_ENDED = frozenset({"success", "failed", "canceled", "skipped"})
_CHANGES = {
    "open": "change.opened",
    "approved": "change.review",  # by the last of those who must
    "approval": "change.review",
    "unapproved": "change.review",
    "unapproval": "change.review",
}
_NOTES = {"Issue": "issue.comment", "MergeRequest": "change.comment"}


def name_of(seen: Body, attributes: Attributes) -> str | None:
    """Return our word for what happened, None where there is none; an edit is nothing, nor is a note by GitLab."""
    if attributes.system:
        return None
    status = attributes.status if seen.object_kind == "pipeline" else seen.build_status
    match seen.object_kind:
        case "issue":
            name = _issue(seen.changes, attributes)
        case "merge_request":
            name = _change(seen.changes, attributes)
        case "note":
            name = _note(attributes) if is_new_note(attributes) else None
        case "pipeline" | "build":
            name = "check.completed" if status in _ENDED else None
        case _:
            name = "push"
    return name


def is_new_note(attributes: Attributes) -> bool:
    """Say whether a note was just written; versions before 16.11 send no action, not even for an edit."""
    if attributes.action is None:
        return attributes.created_at is not None and attributes.created_at == attributes.updated_at
    return attributes.action == "create"


def newly(people: People | None) -> tuple[User, ...]:
    """Return who came in by a change, or is asked once more."""
    if people is None:
        return ()
    before = {user.username for user in people.previous or () if user}
    current = (user for user in people.current or () if user and user.username)
    return tuple(user for user in current if user.username not in before or user.re_requested)


def titles(labels: Iterable[Label | None] | None) -> tuple[str, ...]:
    """Return the names of labels."""
    return tuple(label.title for label in labels or () if label and label.title)


def _note(attributes: Attributes) -> str | None:
    name = _NOTES.get(attributes.noteable_type or "")
    return "change.review_comment" if name == "change.comment" and attributes.type == "DiffNote" else name


def _issue(changes: Changes | None, attributes: Attributes) -> str | None:
    if attributes.action != "update" or changes is None:
        return "issue.opened" if attributes.action == "open" else None
    if newly(changes.assignees):
        return "issue.assigned"
    return "issue.labeled" if _labeled(changes.labels) else None


def _change(changes: Changes | None, attributes: Attributes) -> str | None:
    if attributes.action != "update":
        return _CHANGES.get(attributes.action or "")
    if attributes.oldrev:  # asked first, for a push is told together with changes that are none
        return "change.updated"
    if changes and newly(changes.reviewers):
        return "change.review_requested"
    return "change.labeled" if changes and _labeled(changes.labels) else None


def _labeled(labels: Labels | None) -> bool:
    return labels is not None and not set(titles(labels.current)) <= set(titles(labels.previous))
