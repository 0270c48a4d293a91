"""`stitcher pause` and `stitcher resume`."""

import json

from tests.tui import documents
from tests.tui.fake_api import FakeApi, RunStitcher

OFF = {
    "paused": True,
    "since": "2026-11-22T14:02:11.284Z",
    "actor": "uid:1000",
    "reason": "I am\x1b away",
    "running": ["0199f3a1-5c2f-7a60-8e21-5b1f7f3a1c9d"],
    "queued": 1200,
}


def test_pause_prints_the_running_jobs(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["POST /pause"] = (200, OFF)
    code, out, err = stitcher("pause", "--reason", "away")
    assert (code, out) == (0, "7f3a1c9d\n")
    assert err.splitlines() == [
        "paused by uid:1000 since 2026-11-22T14:02:11.284Z (I am\\x1b away)",
        "1 running, 1,200 queued; continue with: stitcher resume",
    ]
    assert json.loads(stitcher("pause", "--json")[1]) == OFF
    assert api.requests == [("POST /pause", {"reason": "away"}), ("POST /pause", {})]


def test_resume_prints_the_number_of_queued_jobs(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["POST /resume"] = (200, {**OFF, "paused": False})
    assert stitcher("resume") == (0, "", "jobs start again: 1,200 queued\n")
    assert json.loads(stitcher("resume", "--json")[1])["paused"] is False


def test_without_permission(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["POST /pause"] = (403, documents.problem(403, "forbidden", "only the operator may do this"))
    assert stitcher("pause")[0] == 4
