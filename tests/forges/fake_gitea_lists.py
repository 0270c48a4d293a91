"""The lists of a repository in the fake of Gitea: comments and threads that changed, and the timeline of a thread."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tests.forges.fake import Answer, FakeComment, FakeEvent, FakeRepository, FakeThread, Refused, Sent, time_text

if TYPE_CHECKING:
    from tests.forges.fake_gitea import FakeGitea

_TYPES = {  # of the items of a timeline, by event
    "assigned": "assignees",
    "labeled": "label",
    "review_requested": "review_request",
    "reopened": "reopen",
    "closed": "close",
    "ready_for_review": "change_title",
    "reviewed": "review",
}


def repositories(fake: "FakeGitea", sent: Sent) -> Answer:
    found = sorted(fake.repositories.values(), key=lambda each: each.name)
    return _page(fake, sent, [fake.render_repository(each) | {"archived": each.archived} for each in found])


def comments(fake: "FakeGitea", sent: Sent, repository: FakeRepository) -> Answer:
    """Answer with the comments that changed at `since` or later, in the order in which they were created."""
    since = datetime.fromisoformat(sent.query["since"])
    found = [
        fake.render_comment(repository, comment) | _urls(fake, repository, thread)
        for thread in repository.threads.values()
        for comment in thread.comments
        if comment.updated >= since
    ]
    return _page(fake, sent, sorted(found, key=lambda each: (each["created_at"], each["id"])))


def threads(fake: "FakeGitea", sent: Sent, repository: FakeRepository) -> Answer:
    """Answer with the threads that changed at `since` or later; those created last come first."""
    assert sent.query["state"] == "all"
    since = datetime.fromisoformat(sent.query["since"])
    found = [each for each in repository.threads.values() if not each.deleted and changed_at(repository, each) >= since]
    found.sort(key=lambda each: (each.created, each.number), reverse=True)
    return _page(fake, sent, [_render_thread(fake, repository, each) for each in found])


def timeline(fake: "FakeGitea", sent: Sent, repository: FakeRepository, number: int) -> Answer:
    """Answer with what was done to a thread at `since` or later, in its order.

    Without `page` it is whole; the total is always that of the items that are shown.
    """
    thread = repository.threads.get(int(number))
    if thread is None or thread.deleted:
        raise Refused(404, "Not Found")
    since = datetime.fromisoformat(sent.query["since"])
    done = [_render_event(fake, repository, each) for each in _events_of(repository, thread) if each.at >= since]
    said = [_render_comment(fake, repository, each) for each in thread.comments if each.updated >= since]
    found = sorted([*done, *said], key=lambda each: (each["created_at"], each["id"]))
    if "page" in sent.query:
        found = _page(fake, sent, found).content
    return Answer(200, found, {"X-Total-Count": str(len(found))})


def changed_at(repository: FakeRepository, thread: FakeThread) -> datetime:
    """Return when a thread was changed last: its comments and its events change it."""
    times = (each.at for each in _events_of(repository, thread))
    return max((thread.created, thread.updated, *(each.updated for each in thread.comments), *times))


def _events_of(repository: FakeRepository, thread: FakeThread) -> Iterator[FakeEvent]:
    return (each for each in repository.events if each.number == thread.number)


def _urls(fake: "FakeGitea", repository: FakeRepository, thread: FakeThread) -> dict[str, str]:
    page = "issues" if thread.kind == "issue" else "pulls"
    url = f"{fake.url}/{repository.name}/{page}/{thread.number}"
    return {"issue_url": "", "pull_request_url": url} if page == "pulls" else {"issue_url": url, "pull_request_url": ""}


def _render_thread(fake: "FakeGitea", repository: FakeRepository, thread: FakeThread) -> dict[str, Any]:
    done = list(_events_of(repository, thread))
    return fake.render_thread(repository, thread) | {
        "created_at": time_text(thread.created),
        "updated_at": time_text(changed_at(repository, thread)),
        "pull_request": None if thread.kind == "issue" else {"merged": thread.merged},
        "labels": [_label(each.label) for each in done if each.label is not None],
        "assignees": [fake.render_account(each.whom) for each in _assigned(done)] or None,
    }


def _assigned(events: Iterable[FakeEvent]) -> Iterator[Any]:
    return (each for each in events if each.event == "assigned" and each.whom is not None)


def _label(name: str) -> dict[str, Any]:
    return {"id": sum(name.encode()), "name": name, "color": "0e8a16"}


def _render_event(fake: "FakeGitea", repository: FakeRepository, event: FakeEvent) -> dict[str, Any]:
    thread = repository.threads[event.number]
    return {
        "id": event.id,
        "type": _TYPES[event.event],
        "user": fake.render_account(event.actor),
        "created_at": time_text(event.at),
        "updated_at": time_text(event.at),
        "body": "1" if event.label is not None else "",
        "label": None if event.label is None else _label(event.label),
        "assignee": None if event.whom is None else fake.render_account(event.whom),
        "removed_assignee": False,
        "old_title": f"WIP: {thread.title}" if event.event == "ready_for_review" else "",
        "new_title": thread.title if event.event == "ready_for_review" else "",
    }


def _render_comment(fake: "FakeGitea", repository: FakeRepository, comment: FakeComment) -> dict[str, Any]:
    rendered = fake.render_comment(repository, comment)
    return {key: value for key, value in rendered.items() if key != "assets"} | {"type": "comment"}


def _page(fake: "FakeGitea", sent: Sent, found: list[dict[str, Any]]) -> Answer:
    page, size = int(sent.query["page"]), min(int(sent.query["limit"]), fake.page_size)
    return Answer(200, found[(page - 1) * size : page * size], {"X-Total-Count": str(len(found))})
