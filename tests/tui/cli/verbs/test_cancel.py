"""`stitcher cancel` and `stitcher retry` of jobs named by id."""

import json

from tests.tui import documents
from tests.tui.fake_api import FakeApi, RunStitcher

OTHER = "0199f3a1-5c2f-7a60-8e21-5b1f00000002"


def test_cancel_of_one_job(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers[f"POST /runner-jobs/{documents.JOB}/cancel"] = (
        202,
        documents.job(status="RUNNING", cancelRequested=True),
    )
    assert stitcher("cancel", documents.JOB, "--reason", "no need") == (0, "7f3a1c9d  ▶ cancelling\n", "")
    assert api.requests == [(f"POST /runner-jobs/{documents.JOB}/cancel", {"reason": "no need"})]


def test_cancel_of_a_job_that_has_ended(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["POST /runner-jobs/7f3a1c9d/cancel"] = (
        409,
        documents.problem(409, "not_cancellable", "job 7f3a1c9d is COMPLETED"),
    )
    assert stitcher("cancel", "7f3a1c9d") == (1, "", "7f3a1c9d  job 7f3a1c9d is COMPLETED\n")


def test_several_jobs_need_yes_and_may_succeed_partly(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["POST /runner-jobs/7f3a1c9d/retry"] = (202, documents.job(status="QUEUED"))
    assert stitcher("retry", "7f3a1c9d", "00000002")[0] == 2
    assert api.requests == []
    code, out, err = stitcher("retry", "7f3a1c9d", "00000002", "7f3a1c9d", "--yes")
    assert (code, out) == (6, "7f3a1c9d  ● queued\n")
    assert err.startswith("00000002  there is no")
    assert len(api.requests) == 2
    assert json.loads(stitcher("retry", "7f3a1c9d", "00000002", "--yes", "--json")[1]) == {
        "matched": 2,
        "items": [
            {"id": documents.JOB, "ok": True, "status": "QUEUED"},
            {
                "id": "00000002",
                "ok": False,
                "status": None,
                "code": "not_found",
                "detail": "there is no /runner-jobs/00000002/retry",
            },
        ],
    }


def test_a_dry_run_only_reads(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["GET /runner-jobs/7f3a1c9d"] = (200, documents.job(status="QUEUED"))
    api.answers["GET /runner-jobs/00000002"] = (200, documents.job(id=OTHER, status="FAILED"))
    code, out, err = stitcher("cancel", "7f3a1c9d", "00000002", "--dry-run")
    assert (code, out) == (6, "would cancel 7f3a1c9d  fix on octo-org/api#479\n")
    assert err == "cannot cancel 00000002  fix on octo-org/api#479: it is failed\n"
    assert stitcher("retry", "00000002", "--dry-run")[0] == 0
    assert all(request.startswith("GET ") for request, _ in api.requests)
