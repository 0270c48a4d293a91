"""The lists of a project in the fake of GitLab: events, and the threads by their last change; the newest come first."""

import hashlib
import json
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from tests.forges.fake import Answer, FakeEvent, FakeRepository, FakeThread, Sent

if TYPE_CHECKING:
    from tests.forges.fake_gitlab import FakeGitLab

# The parameters of a list besides those of its pages; its documentation has more.
FILTERS = {
    "/events": {"action", "target_type", "before", "after", "sort"},
    "/issues": {"state", "scope", "order_by", "sort", "updated_after", "updated_before"},
    "/merge_requests": {
        *("state", "scope", "order_by", "sort", "updated_after", "updated_before", "source_branch", "target_branch")
    },
}


def events(fake: "FakeGitLab", sent: Sent, repository: FakeRepository) -> Answer:
    """Answer with events since the end of the day `after`; `note` as the target has none of a discussion."""
    found = [
        *_commented(fake, repository),
        *(_reopened(fake, repository, each) for each in repository.events if each.event == "reopened"),
    ]
    action, target = sent.query.get("action"), sent.query.get("target_type", "").replace("_", "")
    actions = {"commented": "commented on"}
    shown = [
        each
        for each in found
        if (action is None or each["action_name"] == actions.get(action, action))
        and (not target or each["target_type"].lower() == target)
        and datetime.fromisoformat(each["created_at"]).date()
        > date.fromisoformat(sent.query.get("after", "1970-01-01"))
    ]
    return _page(fake, sent, sorted(shown, key=lambda each: each["id"], reverse=sent.query.get("sort") != "asc"))


def threads(fake: "FakeGitLab", sent: Sent, repository: FakeRepository) -> Answer:
    """Answer with the threads changed at `updated_after` or later, by default those created last first."""
    kind = "issue" if sent.path.endswith("/issues") else "change"
    since = datetime.fromisoformat(sent.query.get("updated_after", "1970-01-01T00:00:00Z"))
    found = [each for each in repository.threads.values() if each.kind == kind and not each.deleted]
    for name, attribute in (("source_branch", "head"), ("target_branch", "base")):
        found = [each for each in found if getattr(each, attribute) == sent.query.get(name, getattr(each, attribute))]
    assert sent.query.get("state", "all") == "all"
    by_change = sent.query.get("order_by") == "updated_at"
    found = [each for each in found if changed_at(repository, each) >= since]
    found.sort(
        key=lambda each: (changed_at(repository, each) if by_change else each.created, each.number),
        reverse=sent.query.get("sort") != "asc",
    )
    return _page(fake, sent, [fake.render_thread(repository, each) for each in found])


def changed_at(repository: FakeRepository, thread: FakeThread) -> datetime:
    """Return when a thread was changed last: its comments and its events change it."""
    times = (each.at for each in repository.events if each.number == thread.number)
    return max((thread.created, thread.updated, *(each.updated for each in thread.comments), *times))


def stamp(time: datetime) -> str:
    """Return a time as the API writes it."""
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _commented(fake: "FakeGitLab", repository: FakeRepository) -> list[dict[str, Any]]:
    return [
        _event(fake, comment.id, "commented on", comment.type or "Note", comment.author, comment.created)
        | {"target_id": comment.id, "target_iid": comment.id, "note": fake.render_note(comment, thread)}
        for thread in repository.threads.values()
        for comment in thread.comments
        if not comment.system
    ]


def _reopened(fake: "FakeGitLab", repository: FakeRepository, event: FakeEvent) -> dict[str, Any]:
    thread = repository.threads[event.number]
    target = {"target_id": thread.number + 1000, "target_iid": thread.number}
    type_ = "Issue" if thread.kind == "issue" else "MergeRequest"
    return _event(fake, event.id, "reopened", type_, event.actor, event.at) | target


def _event(fake: "FakeGitLab", id_: int, action: str, target: str, author: Any, at: datetime) -> dict[str, Any]:
    return {
        "id": id_,
        "project_id": fake.repository.id,
        "action_name": action,
        "target_type": target,
        "author_id": author.id,
        "author": fake.render_account(author),
        "author_username": author.login,
        "created_at": stamp(at),
    }


def _page(fake: "FakeGitLab", sent: Sent, found: list[dict[str, Any]]) -> Answer:
    page, size = int(sent.query.get("page", 1)), fake.page_size
    shown = found[(page - 1) * size : page * size]
    etag = f'W/"{hashlib.sha256(json.dumps(shown).encode()).hexdigest()}"'
    if sent.etag == etag:
        return Answer(304)
    return Answer(200, shown, {"ETag": etag, "X-Next-Page": str(page + 1) if len(found) > page * size else ""})
