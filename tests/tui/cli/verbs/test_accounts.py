"""`stitcher accounts`: the ids that are kept, and the acceptance of another one."""

import json

from tests.tui import documents
from tests.tui.fake_api import FakeApi, RunStitcher

KEPT = {
    "account": "github:octocat",
    "id": "583231",
    "since": "2026-11-22T14:02:11.284Z",
    "acceptedBy": None,
    "changedId": None,
    "changedAt": None,
}
CHANGED = {**KEPT, "account": "github:hubot", "changedId": "999", "changedAt": "2026-11-23T14:02:11.284Z"}
ACCEPTED = {**KEPT, "id": "999", "acceptedBy": "uid:1000"}


def test_the_kept_ids_are_listed(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["GET /accounts"] = 200, {"items": [CHANGED, ACCEPTED, KEPT]}
    code, out, _ = stitcher("accounts")
    assert code == 0
    assert [line.split(maxsplit=2) for line in out.splitlines()] == [
        [
            "github:hubot",
            "#583231",
            "#999 was seen at 2026-11-23T14:02:11.284Z, and has no rights until it is accepted",
        ],
        ["github:octocat", "#999", "accepted by uid:1000, since 2026-11-22T14:02:11.284Z"],
        ["github:octocat", "#583231", "the first seen, since 2026-11-22T14:02:11.284Z"],
    ]
    assert json.loads(stitcher("accounts", "ls", "--json")[1]) == {"items": [CHANGED, ACCEPTED, KEPT]}


def test_without_any_the_list_says_when_there_will_be_some(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["GET /accounts"] = 200, {"items": []}
    assert stitcher("accounts") == (
        0,
        "",
        "no ids are kept yet: the first one is, once a delivery of an account in the rails gives it\n",
    )


def test_another_id_is_accepted(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["POST /accounts/accept"] = 200, ACCEPTED
    assert stitcher("accounts", "accept", "github:octocat#999")[:2] == (0, "github:octocat#999\n")
    assert json.loads(stitcher("accounts", "accept", "github:octocat", "--json")[1]) == ACCEPTED
    assert [body for _, body in api.requests] == [
        {"account": "github:octocat", "id": "999"},
        {"account": "github:octocat"},
    ]


def test_without_permission(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["POST /accounts/accept"] = 403, documents.problem(403, "forbidden", "only the operator may do this")
    assert stitcher("accounts", "accept", "github:octocat")[0] == 4
