"""`stitcher approve` and `stitcher deny`."""

import json

import pytest

from tests.tui import documents
from tests.tui.fake_api import FakeApi, RunStitcher


def test_approve_prints_the_new_state(api: FakeApi, stitcher: RunStitcher) -> None:
    queued = documents.job(status="QUEUED", startedAt=None, completedAt=None)
    api.answers["POST /runner-jobs/7f3a1c9d/approve"] = (202, queued)
    assert stitcher("approve", "7f3a1c9d") == (0, "7f3a1c9d  ● queued  octo-org/api#479\n", "")
    assert json.loads(stitcher("approve", "7f3a1c9d", "--reason", "read it", "--json")[1]) == queued
    place = "POST /runner-jobs/7f3a1c9d/approve"
    assert api.requests == [(place, {}), (place, {"reason": "read it"})]


def test_deny_needs_a_reason(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["POST /runner-jobs/7f3a1c9d/deny"] = (202, documents.job(status="CANCELLED"))
    code, out, _ = stitcher("deny", "7f3a1c9d", "--reason", "spam")
    assert (code, out) == (0, "7f3a1c9d  ⊘ cancelled  octo-org/api#479\n")
    assert api.requests == [("POST /runner-jobs/7f3a1c9d/deny", {"reason": "spam"})]
    with pytest.raises(SystemExit) as usage:
        stitcher("deny", "7f3a1c9d")
    assert usage.value.code == 2


@pytest.mark.parametrize(
    ("status", "code", "exit_code"), [(409, "not_waiting", 1), (403, "forbidden", 4), (404, "not_found", 5)]
)
def test_a_refusal_is_printed(api: FakeApi, stitcher: RunStitcher, status: int, code: str, exit_code: int) -> None:
    api.answers["POST /runner-jobs/7f3a1c9d/approve"] = (status, documents.problem(status, code, "it does not wait"))
    assert stitcher("approve", "7f3a1c9d") == (exit_code, "", "stitcher: it does not wait\n")


def test_why_shows_who_can_approve(api: FakeApi, stitcher: RunStitcher) -> None:
    remedy = {"text": "a member of maintainers approves", "line": 63}
    decision = {**documents.DECISION, "verdict": "waiting", "reason": "guard outsider-text: strange", "remedy": remedy}
    api.answers["GET /runner-jobs/7f3a1c9d"] = (200, documents.job(status="PENDING", decision=decision))
    _, out, _ = stitcher("why", "7f3a1c9d")
    assert out.startswith("WAITING FOR APPROVAL  job 7f3a1c9d")
    assert "guard outsider-text: strange" in out
    assert "to allow it: a member of maintainers approves (rails.yaml:63)" in out
