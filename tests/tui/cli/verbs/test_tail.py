"""`stitcher tail`: when it ends."""

from tests.tui import documents
from tests.tui.fake_api import FakeApi, RunStitcher


def test_tail_ends_with_a_job_that_ended_before_its_events_were_read(api: FakeApi, stitcher: RunStitcher) -> None:
    path = f"/runner-jobs/{documents.JOB}"
    events = [
        documents.event(1, "job.started"),
        documents.event(2, "job.completed"),
        documents.event(3, "step.completed"),
    ]
    api.answers["GET /runner-jobs/7f3a1c9d"] = 200, documents.job(status="RUNNING", completedAt=None)
    api.answers[f"GET {path}/events"] = 200, {"items": events, "next": None}
    code, out, _ = stitcher("tail", "7f3a1c9d", "-f")
    assert (code, len(out.splitlines())) == (0, 3)
    assert not [asked for asked, _ in api.requests if asked.startswith("GET /events")]
