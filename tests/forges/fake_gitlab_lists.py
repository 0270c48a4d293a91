"""The lists of a project in the fake of GitLab: events, and the threads by their last change; the newest come first."""

import hashlib
import json
from datetime import date, datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from tests.forges.fake import Answer, FakeAccount, FakeComment, FakeEvent, FakeRepository, FakeThread, Sent

if TYPE_CHECKING:
    from tests.forges.fake_gitlab import FakeGitLab

# The parameters of a list besides those of its pages; its documentation has more.
FILTERS = {
    "/projects": {"membership", "simple", "archived"},
    "/notes": {"activity_filter", "order_by", "sort"},
    "/resource_label_events": set[str](),
    "/events": {"action", "target_type", "before", "after", "sort"},
    "/issues": {"state", "scope", "order_by", "sort", "updated_after", "updated_before"},
    "/merge_requests": {
        *("state", "scope", "order_by", "sort", "updated_after", "updated_before", "source_branch", "target_branch")
    },
}


_TOLD = {  # how notes of GitLab itself tell of events
    "assigned": "assigned to @{}",
    "review_requested": "requested review from @{}",
    "ready_for_review": "marked this merge request as **ready**",
    "closed": "closed",
}


def projects(fake: "FakeGitLab", sent: Sent) -> Answer:
    assert sent.query["membership"] == "true"
    found = [each for each in fake.repositories.values() if not (each.archived and sent.query["archived"] == "false")]
    return _page(fake, sent, [{"id": each.id, "path_with_namespace": each.name} for each in found])


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


def label_events(fake: "FakeGitLab", sent: Sent, repository: FakeRepository, number: int) -> Answer:
    """Answer with the labels that were added to a thread, the oldest first."""
    thread = fake.thread_of(repository, sent, number)
    labeled = [each for each in _events_of(repository, thread) if each.label is not None]
    return _page(fake, sent, [_render_label_event(fake, thread, each) for each in labeled])


def notes(fake: "FakeGitLab", sent: Sent, repository: FakeRepository, number: int) -> Answer:
    """Answer with the notes of a thread, also with those that tell its events; by default those created last first."""
    thread = fake.thread_of(repository, sent, number)
    wanted = {"only_activity": {True}, "only_comments": {False}}.get(
        sent.query.get("activity_filter", ""), {True, False}
    )
    found = [*thread.comments, *(_told(each) for each in _events_of(repository, thread) if each.event in _TOLD)]
    time = attrgetter("updated" if sent.query.get("order_by") == "updated_at" else "created")
    found.sort(key=time, reverse=sent.query.get("sort") != "asc")
    return _page(fake, sent, [fake.render_note(each, thread) for each in found if each.system in wanted])


def people(repository: FakeRepository, thread: FakeThread, event: str) -> list[FakeAccount]:
    """Return whom the events of a thread assigned, or requested a review of."""
    return [each.whom for each in _events_of(repository, thread) if each.event == event and each.whom is not None]


def labels(repository: FakeRepository, thread: FakeThread) -> list[str]:
    """Return the labels of a thread."""
    return [each.label for each in _events_of(repository, thread) if each.label is not None]


def _events_of(repository: FakeRepository, thread: FakeThread) -> list[FakeEvent]:
    return [each for each in repository.events if each.number == thread.number]


def _told(event: FakeEvent) -> FakeComment:
    body = _TOLD[event.event].format(event.whom.login if event.whom else "")
    return FakeComment(event.id, event.actor, body, event.at, event.at, system=True)


def _render_label_event(fake: "FakeGitLab", thread: FakeThread, event: FakeEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        "user": fake.render_account(event.actor),
        "created_at": stamp(event.at),
        "resource_type": "Issue" if thread.kind == "issue" else "MergeRequest",
        "resource_id": thread.number + 1000,
        "label": {"id": 1, "name": event.label, "color": "#0e8a16"},
        "action": "add",
    }


def changed_at(repository: FakeRepository, thread: FakeThread) -> datetime:
    """Return when a thread was changed last: its comments and its events change it."""
    times = (each.at for each in _events_of(repository, thread))
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
