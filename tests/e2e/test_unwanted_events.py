"""What forges send besides what the rails want: recorded and ignored, denied, or refused with the field in words."""

import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.harness import DaemonHarness
from tests.e2e.webhooks import SECRETS
from tests.stitcherd.sources.payloads import edited

SECRET = SECRETS["github"]
KINDS = ("github", "gitea", "gitlab")
SETTINGS = "\n".join(
    f'[sources.{kind}]\nkind = "{kind}"\nsecrets = [{{env = "E2E_SECRET"}}]\nbot = "mosaic"\n' for kind in KINDS[1:]
)
RAILS = """
version: 1
people:
  team: {users: ["github:hubot", "gitea:hubot", "gitlab:hubot"]}
profiles:
  weaver: {capabilities: [repo:read, repo:write], executor: agent}
jobs:
  fix: {profile: weaver, needs: [repo:write]}
triggers:
  - {id: word, on: [issue.comment], command: fix, from: [team], job: fix}
guards:
  - {id: locked, if: {locked: true}, then: deny}
"""
COMMENTS = {"github": "issue_comment.created", "gitea": "issue_comment.created", "gitlab": "note.issue"}
EVENTS = {"github": "issue_comment", "gitea": "issue_comment", "gitlab": "Note Hook"}
REPOSITORY = {"gitlab": "/project/path_with_namespace"}
SENDER = {"gitlab": ("/user/username",)}


@pytest.fixture(scope="module")
def daemon() -> Iterator[DaemonHarness]:
    with DaemonHarness(rails=RAILS, settings='[repositories."*"]\nclone = "/srv/git/{name}.git"\n' + SETTINGS) as built:
        built.start()
        built.cli("pause")  # allowed jobs are stored, and need not run
        yield built


def deliver(daemon: DaemonHarness, kind: str, event: str, document: Any) -> tuple[int, Any]:
    """Send a signed delivery; return the status and the answer."""
    body = json.dumps(document).encode()
    proof = hmac.digest(SECRET.encode(), body, "sha256").hex()
    headers = {
        "github": {"X-GitHub-Event": event, "X-Hub-Signature-256": f"sha256={proof}"},
        "gitea": {"X-Gitea-Event": event, "X-Gitea-Signature": proof},
        "gitlab": {"X-Gitlab-Event": event, "X-Gitlab-Token": SECRET},
    }[kind]
    reply = daemon.public("POST", f"/stitcher/webhook/{kind}", body, {"Content-Type": "application/json", **headers})
    return reply.status, reply.json


@pytest.mark.parametrize(
    ("event", "body", "name"),
    [
        ("Member Hook", {"event_name": "user_add_to_group", "user_username": "al", "group_path": "g"}, None),
        ("Subgroup Hook", {"event_name": "subgroup_create", "group_id": 1}, None),
        ("Project Hook", {"event_name": "project_create", "path_with_namespace": "g/p"}, "g/p"),
        ("System Hook", {"event_name": "repository_update", "project": {"path_with_namespace": "g/p"}}, "g/p"),
        ("System Hook", {"event_name": "push", "project": {"path_with_namespace": "g/-dots"}, "after": ""}, "g/-dots"),
    ],
)
def test_hooks_of_groups_and_systems_are_recorded(
    daemon: DaemonHarness, event: str, body: dict[str, Any], name: str | None
) -> None:
    status, answer = deliver(daemon, "gitlab", event, body)
    assert (status, answer["verdict"]) == (200, "ignored")
    assert answer["reason"] == f"no trigger wants {body['event_name']}"
    stored = daemon.get(f"/deliveries/{answer['deliveryId']}")
    assert (stored["event"], stored["sender"], stored["repository"]) == (body["event_name"], None, name)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "body", [{}, [], {"action": 5}, {"sender": {"login": "-octo"}, "repository": {"full_name": 1}}]
)
def test_an_event_of_a_new_name_is_recorded_whatever_it_lacks(daemon: DaemonHarness, kind: str, body: Any) -> None:
    status, answer = deliver(daemon, kind, "brand-new_event9", body)
    if kind == "gitlab" and body == []:  # its body would tell what event it is
        assert (status, answer["code"]) == (422, "invalid")
        return
    assert (status, answer["verdict"]) == (200, "ignored"), answer


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "words"),
    [("octo-org/-dots", None), ("a/..", "of letters, digits"), ("-a/b", "of letters, digits"), (5, "expected `str")],
)
def test_a_comment_of_a_repository_with_an_odd_name(
    daemon: DaemonHarness, kind: str, name: object, words: str | None
) -> None:
    pointer = REPOSITORY.get(kind, "/repository/full_name")
    status, answer = deliver(daemon, kind, EVENTS[kind], edited(kind, COMMENTS[kind], {pointer: name}))
    if words is None:
        assert (status, answer["verdict"]) == (200, "denied")
        assert "octo-org/-dots matches no [repositories] entry" in answer["reason"]
    else:
        assert (status, answer["code"]) == (422, "invalid")
        assert pointer.replace("/", ".") in answer["detail"]
        assert words in answer["detail"]
        assert "regex" not in answer["detail"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("login", ["a" * 101, "alice@example.org", "-octo", "", "../x"])
def test_a_comment_by_an_odd_login_is_denied(daemon: DaemonHarness, kind: str, login: str) -> None:
    pointers = SENDER.get(kind, ("/sender/login", "/comment/user/login"))
    status, answer = deliver(daemon, kind, EVENTS[kind], edited(kind, COMMENTS[kind], dict.fromkeys(pointers, login)))
    assert (status, answer["verdict"]) == (200, "denied")
    assert answer["reason"].startswith("who: ")
    assert daemon.get(f"/deliveries/{answer['deliveryId']}")["sender"] is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_comment_on_a_locked_issue_is_denied_by_a_guard(daemon: DaemonHarness, kind: str) -> None:
    pointer = {"github": "/issue/locked", "gitea": "/issue/is_locked", "gitlab": "/issue/discussion_locked"}[kind]
    status, answer = deliver(daemon, kind, EVENTS[kind], edited(kind, COMMENTS[kind], {pointer: True}))
    assert (status, answer["verdict"], answer["reason"]) == (200, "denied", "guard locked: locked")
    decision = daemon.get(f"/deliveries/{answer['deliveryId']}")["decision"]
    assert decision["remedy"]["text"] == "unlock the issue"
    apart = {"/issue/iid" if kind == "gitlab" else "/issue/number": 500 + KINDS.index(kind)}
    status, answer = deliver(daemon, kind, EVENTS[kind], edited(kind, COMMENTS[kind], {pointer: False, **apart}))
    assert (status, answer["verdict"]) == (202, "allowed")
