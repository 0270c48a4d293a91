"""`stitcher why`: the decision of a job or a delivery."""

import json

from tests.tui import documents
from tests.tui.fake_api import FakeApi, RunStitcher


def test_why_finds_a_job_or_a_delivery(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers[f"GET /runner-jobs/{documents.JOB}"] = (200, documents.job(decision=documents.DECISION))
    assert stitcher("why", documents.JOB)[1].startswith(
        "DENIED  job 7f3a1c9d  fix on octo-org/api#479 by source:github/octocat\n"
    )
    api.answers["GET /deliveries/7f3a1c02"] = (200, documents.DELIVERY)
    code, out, _ = stitcher("why", "7f3a1c02")
    assert code == 0
    assert out.splitlines() == [
        "DENIED  delivery 7f3a1c02  issue_comment.created on octo-org/api#480 by github:drive-by",
        "  who: github:drive-by is in none of team, mosaic",
        "  rails r-4f2a91c0 · sandbox none · decided in 41 µs",
        "",
        "  ✓ trigger fix-on-command  @mosaic fix, wanted command fix         rails.yaml:41",
        "  ✗ who                     github:drive-by, wanted team or mosaic  rails.yaml:9",
        "  · guard freeze            (does not apply)                        rails.yaml:63",
        "  · capabilities            (not reached)",
        "",
        "  to allow it: add github:drive-by to team (rails.yaml:9)",
    ]
    assert json.loads(stitcher("why", "7f3a1c02", "--json")[1]) == documents.DECISION
    assert stitcher("why", "00000000")[0] == 5


def test_why_without_a_decision(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["GET /deliveries/7f3a1c02"] = (200, {**documents.DELIVERY, "decision": None})
    assert stitcher("why", "7f3a1c02")[0] == 1
    assert stitcher("why", "7f3a1c02", "--json")[:2] == (0, "null\n")
