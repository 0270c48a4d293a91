"""`stitcher wait`: restarts of the daemon, and the timeout."""

from argparse import ArgumentTypeError
from typing import Any

import pytest
from msgspec import structs

from shared.models import Status
from tests.tui import documents
from tests.tui.fake_api import FakeApi, RunStitcher
from tui.cli.verbs import wait
from tui.client.http import DaemonUnreachable


def test_wait_survives_a_restart_of_the_daemon(
    api: FakeApi, stitcher: RunStitcher, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_wait_gives_up_a_daemon_that_stays_unreachable(
    api: FakeApi, stitcher: RunStitcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.answers["GET /runner-jobs/7f3a1c9d"] = 200, documents.job(status="RUNNING", completedAt=None)

    def look(*_: Any) -> Any:
        raise DaemonUnreachable(api.path, "gone")

    monkeypatch.setattr(wait, "_wait_for_change", look)
    monkeypatch.setattr(wait, "RESTART_TIMEOUT", 0.0)
    assert stitcher("wait", "7f3a1c9d")[0] == 3


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("30s", 30), ("10m", 600), ("2h", 7200), ("1d", 86400)])
def test_timeout_durations(text: str, seconds: int) -> None:
    assert wait._seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "1.5s", "-1", "1w", "٣s", "123456789"])
def test_invalid_timeouts(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        wait._seconds(text)
