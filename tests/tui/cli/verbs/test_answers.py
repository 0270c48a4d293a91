"""`stitcher answers`: what is to be at the forges, and sending one again; and the answers of a job."""

import json
from typing import Any

from tests.tui import documents
from tests.tui.fake_api import FakeApi, RunStitcher
from tui.text.jobs import DASH

ANSWER: dict[str, Any] = {
    "id": "0199f3a6-5c2e-7d11-9a44-0c7b7f3a1c02",
    "source": "github",
    "kind": "comment",
    "repository": "octo-org/api",
    "slot": "comment:issue/479",
    "jobId": "0199f3a1-5c2f-7a60-8e21-5b1f7f3a1c9d",
    "deliveryId": None,
    "state": "failed",
    "url": None,
    "tries": 1,
    "dueAt": None,
    "error": {"code": "locked", "detail": "the conversation is locked", "hint": "unlock it"},
    "createdAt": "2026-11-22T14:02:12.001Z",
}
PENDING = {**ANSWER, "jobId": None, "state": "pending", "dueAt": "2026-11-22T14:03:12.001Z", "error": None}
DELIVERED = {**ANSWER, "state": "delivered", "url": "https://forge/991", "error": None}


def test_answers_are_listed_with_what_became_of_them(api: FakeApi, stitcher: RunStitcher) -> None:
    page = {"items": [ANSWER, PENDING, DELIVERED], "next": ANSWER["id"]}
    api.answers["GET /answers"] = 200, page
    code, out, err = stitcher("answers")
    assert code == 0
    place = ["github", "octo-org/api", "comment:issue/479"]
    assert [line.split(maxsplit=6) for line in out.splitlines()] == [
        ["7f3a1c02", "failed", *place, "7f3a1c9d", "locked: the conversation is locked (unlock it)"],
        ["7f3a1c02", "pending", *place, DASH, "at 2026-11-22T14:03:12.001Z"],
        ["7f3a1c02", "delivered", *place, "7f3a1c9d", "https://forge/991"],
    ]
    assert err == "more: stitcher answers ls --before 7f3a1c02\n"
    assert json.loads(stitcher("answers", "ls", "--json")[1]) == page


def test_without_any_the_list_says_where_to_look(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["GET /answers"] = 200, {"items": [], "next": None}
    code, out, err = stitcher("answers", "ls", "--state", "failed", "--limit", "2")
    assert (code, out) == (0, "")
    assert "section report of rails.yaml" in err


def test_an_answer_is_sent_again(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["POST /answers/7f3a1c02/retry"] = 202, PENDING
    assert stitcher("answers", "retry", "7f3a1c02")[:2] == (0, "7f3a1c02  comment:issue/479\n")
    assert json.loads(stitcher("answers", "retry", "7f3a1c02", "--json")[1]) == PENDING
    api.answers["POST /answers/7f3a1c03/retry"] = (
        409,
        documents.problem(409, "conflict", "answer 7f3a1c03 is delivered"),
    )
    assert stitcher("answers", "retry", "7f3a1c03")[0] == 1


def test_show_lists_the_answers_and_the_change_of_a_job(api: FakeApi, stitcher: RunStitcher) -> None:
    shown = [{name: each[name] for name in ("kind", "state", "url", "error")} for each in (ANSWER, DELIVERED)]
    job = documents.job(status="COMPLETED") | {"answers": shown, "change": {"number": 12, "url": "https://forge/12"}}
    api.answers[f"GET /runner-jobs/{job['id']}"] = 200, job
    out = stitcher("show", job["id"])[1]
    assert "change    #12 https://forge/12" in out
    assert "answers   comment failed: locked: the conversation is locked (unlock it)\n" in out
    assert "          comment delivered: https://forge/991\n" in out
