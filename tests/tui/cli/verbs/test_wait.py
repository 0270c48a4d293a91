"""The verbs that look on: a job that ends meanwhile, a daemon that is away for a moment, a body to the byte."""

import io
import sys
from argparse import ArgumentTypeError
from typing import Any

import pytest
from msgspec import structs

from shared.models import Status
from tests.tui import documents
from tests.tui.fake_api import FakeApi, RunStitcher
from tui.cli.verbs import wait
from tui.client.http import DaemonUnreachable


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


def test_wait_outlasts_a_restart(api: FakeApi, stitcher: RunStitcher, monkeypatch: pytest.MonkeyPatch) -> None:
    api.answers["GET /runner-jobs/7f3a1c9d"] = 200, documents.job(status="RUNNING", completedAt=None)
    looks = iter([DaemonUnreachable(api.path, "gone"), DaemonUnreachable(api.path, "gone"), None])

    def look(_daemon: Any, job: Any, _patience: float) -> Any:
        if fault := next(looks):
            raise fault
        return structs.replace(job, status=Status.COMPLETED)

    monkeypatch.setattr(wait, "_wait_for_change", look)
    code, out, err = stitcher("wait", "7f3a1c9d")
    assert (code, out) == (0, "7f3a1c9d  ✓ completed  octo-org/api#479\n")
    assert err.count("waiting 60 s for it to come back") == 1


def test_wait_gives_a_daemon_up_that_stays_away(
    api: FakeApi, stitcher: RunStitcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.answers["GET /runner-jobs/7f3a1c9d"] = 200, documents.job(status="RUNNING", completedAt=None)

    def look(*_: Any) -> Any:
        raise DaemonUnreachable(api.path, "gone")

    monkeypatch.setattr(wait, "_wait_for_change", look)
    monkeypatch.setattr(wait, "RESTART_TIMEOUT", 0.0)
    assert stitcher("wait", "7f3a1c9d")[0] == 3


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("30s", 30), ("10m", 600), ("2h", 7200), ("1d", 86400)])
def test_how_long_to_wait(text: str, seconds: int) -> None:
    assert wait._seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "1.5s", "-1", "1w", "٣s", "123456789"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        wait._seconds(text)


def test_a_stored_body_is_given_to_the_byte(
    api: FakeApi, stitcher: RunStitcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b' {"a": "\xff\x1b"}\r\n'
    api.answers["GET /deliveries/7f3a1c02/body"] = 200, body
    written = io.BytesIO()
    pipe = io.TextIOWrapper(written)
    monkeypatch.setattr(sys, "stdout", pipe)
    assert stitcher("deliveries", "show", "7f3a1c02", "--body")[0] == 0
    assert written.getvalue() == body
