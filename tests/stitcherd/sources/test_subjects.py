"""Subjects: which events are the same one, however they arrive."""

import json
from typing import Any

import pytest
from multidict import CIMultiDict

from stitcherd.sources import SOURCES
from tests.stitcherd.sources.payloads import delivery, edited

AT, LATER = "2026-11-22T14:00:00Z", "2026-11-22T14:00:01Z"
EVENT_HEADERS = {"github": "X-GitHub-Event", "gitea": "X-Gitea-Event-Type", "gitlab": "X-Gitlab-Event"}


def subject(kind: str, event: str, body: Any) -> str | None:
    headers = CIMultiDict({EVENT_HEADERS[kind]: event})
    return SOURCES[kind].parse(headers, json.dumps(body).encode(), source="forge", bot="mosaic").subject


def subject_of(kind: str, name: str, edits: dict[str, Any] | None = None) -> str | None:
    event = "Note Hook" if kind == "gitlab" else name.partition(".")[0]
    return subject(kind, event, edited(kind, name, edits or {}))


@pytest.mark.parametrize(
    ("kind", "name", "time", "expected"),
    [
        ("github", "issue_comment.created", "", "comment:1700000001"),
        ("github", "issue_comment.created_on_pull", "", "comment:1700000001"),
        ("github", "issue_comment.edited", "", None),
        ("github", "pull_request_review_comment.created", "", "review-comment:901"),
        ("github", "pull_request_review.submitted", "", "review:900"),
        ("github", "issues.opened", "", "opened:479"),
        ("github", "issues.assigned", "/issue/updated_at", f"assigned:479:mosaic:{AT}"),
        ("github", "issues.labeled", "/issue/updated_at", f"labeled:479:ready:{AT}"),
        ("github", "pull_request.opened", "", "opened:!480"),
        ("github", "pull_request.labeled", "/pull_request/updated_at", f"labeled:!480:ready:{AT}"),
        ("github", "push.branch", "", None),
        ("github", "status.failure", "", None),
        ("gitea", "issue_comment.edited", "", None),
        ("gitlab", "note.issue_edited", "", None),
        ("gitlab", "note.system", "", None),
    ],
)
def test_the_subject_of_an_event(kind: str, name: str, time: str, expected: str | None) -> None:
    assert subject_of(kind, name, {time: AT} if time else {}) == expected
    if time:
        assert subject_of(kind, name, {time: LATER}) not in {expected, None}
        for unreadable in (None, "soon", 7, "9999-99-99"):
            assert subject_of(kind, name, {time: unreadable}) is None


@pytest.mark.parametrize(
    ("kind", "name", "time"),
    [
        ("gitea", "issues.assigned", "/issue/updated_at"),
        ("gitea", "issues.label_updated", "/issue/updated_at"),
        ("gitea", "pull_request_review_request.review_requested", "/pull_request/updated_at"),
        ("gitea", "pull_request_review_rejected.reviewed", "/pull_request/updated_at"),
        ("gitlab", "issue.update_assignees", "/object_attributes/updated_at"),
        ("gitlab", "issue.update_labels", "/object_attributes/updated_at"),
        ("gitlab", "merge_request.approved", "/object_attributes/updated_at"),
        ("gitlab", "merge_request.update_reviewers", "/object_attributes/updated_at"),
        ("gitlab", "merge_request.update_pushed", "/object_attributes/updated_at"),
    ],
)
def test_an_event_without_an_id_is_told_by_its_time(kind: str, name: str, time: str) -> None:
    first = subject_of(kind, name, {time: AT})
    assert first is not None
    assert first.endswith(f":{AT}")
    assert subject_of(kind, name, {time: "2026-11-22T15:00:00.250+01:00"}) == first
    assert subject_of(kind, name, {time: "2026-11-22 14:00:00 UTC"}) == first
    assert subject_of(kind, name, {time: LATER}) != first


def test_what_happens_to_a_change_again_is_another_event() -> None:
    opened = delivery("github", "pull_request.opened")
    opened["pull_request"]["updated_at"] = AT
    found = {
        action: subject("github", "pull_request", opened | {"action": action})
        for action in ("opened", "reopened", "ready_for_review", "synchronize")
    }
    assert None not in found.values()
    assert len(set(found.values())) == len(found)
    opened["pull_request"]["updated_at"] = LATER
    assert subject("github", "pull_request", opened) == found["opened"], "it is opened once"
    assert subject("github", "pull_request", opened | {"action": "reopened"}) != found["reopened"]


def test_other_people_and_labels_are_other_events() -> None:
    at = {"/issue/updated_at": AT}
    assert subject_of("github", "issues.assigned", at | {"/assignee/login": "Ann"}) == f"assigned:479:ann:{AT}"
    assert subject_of("github", "issues.labeled", at | {"/label/name": "bug"}) == f"labeled:479:bug:{AT}"
    assert subject_of("github", "issues.labeled", at | {"/label": ["ready"]}) == f"labeled:479:ready:{AT}"
    assert subject_of("github", "issues.labeled", at | {"/label/name": "x" * 600}) is None


def test_an_issue_and_a_merge_request_of_the_same_number_differ() -> None:
    issue = subject_of("gitlab", "issue.open", {"/object_attributes/iid": 7})
    change = subject_of("gitlab", "merge_request.open", {"/object_attributes/iid": 7})
    assert (issue, change) == ("opened:7", "opened:!7")
