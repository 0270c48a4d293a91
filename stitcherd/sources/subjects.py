"""Subjects: the key of an event, which is the same by whatever way the event arrives.

A forge's own id of the event is taken where the webhook has it. Else the key consists of what the event did, and of the
time at which it changed the thread: an API that tells the event tells that too.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from stitcherd.sources.fields import comment_id
from stitcherd.sources.trigger import Trigger

_SUBJECT_MAX = 500  # characters; a longer one is not cut, since the end of one would be that of another
_CREATIONS = frozenset({"opened", "open"})  # of a thread, which happens once


def event_subject(
    trigger: Trigger, *, changed_at: object, review_id: object = None, labels: Iterable[str | None] = ()
) -> str | None:
    """Return the subject of an event, None for one that has none, or lacks what it consists of.

    `changed_at` is the time that the payload gives as that of the last change of the thread, `labels` are those that
    the event added, none where the payload does not tell: then all labels of the thread count. A comment is
    its creation: an edit has no name in rails, and no subject.
    """
    match trigger.name:
        case "issue.comment" | "change.comment":
            return _join("comment", trigger.comment_id)
        case "change.review_comment":
            return _join("review-comment", trigger.comment_id)
        case "issue.opened" | "change.opened" if trigger.action in _CREATIONS:
            return _join("opened", _thread_key(trigger))
        case "change.review" if (own_id := comment_id(review_id)) is not None:
            return _join("review", own_id)
    what = _change_of_thread(trigger, labels)
    return _join(what[0], _thread_key(trigger), *what[1:], _seconds(changed_at)) if what else None


def _change_of_thread(trigger: Trigger, labels: Iterable[str | None]) -> tuple[str | None, ...] | None:
    """Return what an event did to its thread, for those that have no id of their own."""
    match trigger.name:
        case "issue.opened" | "change.opened":  # again: reopened, ready_for_review
            what: tuple[str | None, ...] = (trigger.action,)
        case "change.updated":
            what = "updated", trigger.head_sha
        case "issue.labeled" | "change.labeled":
            what = "labeled", ",".join(sorted(set(filter(None, labels)) or trigger.labels))
        case "issue.assigned":
            what = "assigned", _logins(trigger.assignees)
        case "change.review_requested":
            what = "review-requested", _logins(trigger.reviewers)
        case "change.review":
            what = "review", trigger.action, _logins([trigger.sender] if trigger.sender else [])
        case _:
            return None
    return what


def _join(*parts: str | None) -> str | None:
    """Return the parts as one key, None if one of them is missing or empty, or it is too long."""
    known = [part for part in parts if part]
    key = ":".join(known)
    return key if len(known) == len(parts) and len(key) <= _SUBJECT_MAX else None


def _thread_key(trigger: Trigger) -> str | None:
    """Return the number of a thread, as GitLab writes it: its issues and its merge requests are numbered apart."""
    thread = trigger.thread
    return None if thread is None else f"{'!' if thread.kind == 'change' else ''}{thread.number}"


def _logins(accounts: Iterable[str]) -> str:
    """Return the logins of accounts, `source:login`, in lower case and in order."""
    return ",".join(sorted(account.partition(":")[2].lower() for account in accounts))


def _seconds(time: object) -> str | None:
    """Return a time of a payload in UTC, to the second; None if it cannot be read."""
    if not isinstance(time, str):
        return None
    try:
        read = datetime.fromisoformat(time.strip().removesuffix(" UTC"))
        in_utc = read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return in_utc.strftime("%Y-%m-%dT%H:%M:%SZ")
