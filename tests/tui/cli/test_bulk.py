"""--filter of `cancel` and `retry`."""

import io
import json
from typing import Any

import pytest

from tests.tui.fake_api import FakeApi, RunStitcher
from tui.__main__ import main

BULK = "POST /runner-jobs/bulk"


def item(number: int, status: str = "CANCELLED", code: str | None = None) -> dict[str, Any]:
    found = {"id": f"0199f3a1-5c2f-7a60-8e21-5b1f{number:08}", "ok": code is None, "status": status}
    return found if code is None else {**found, "code": code}


def bulk(*items: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return 200, {"matched": len(items), "items": list(items)}


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a user at a terminal, who gives an answer."""

    class Tty(io.StringIO):
        def isatty(self) -> bool:
            return True

        def reconfigure(self, **_how: Any) -> None:
            """Take any."""

    def answers(answer: str) -> Tty:
        err = Tty()
        monkeypatch.setattr("sys.stdin", Tty(answer))
        monkeypatch.setattr("sys.stderr", err)
        return err

    return answers


def test_a_dry_run_lists_what_would_be_done(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers[BULK] = bulk(item(1, "QUEUED"), item(2, "RUNNING"))
    argv = ("cancel", "--filter", "state:running repo:octo-org/web", "--dry-run")
    assert stitcher(*argv) == (0, "would cancel 2 jobs: 00000001, 00000002\n", "")
    body = {"action": "cancel", "q": "state:running repo:octo-org/web", "dryRun": True}
    assert api.requests == [(BULK, body)]
    api.answers[BULK] = bulk(*(item(number) for number in range(1_012)))
    assert stitcher(*argv)[1].endswith("00000009, and 1,002 more\n")


def test_failures_are_grouped_by_reason(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers[BULK] = bulk(
        item(1, "COMPLETED", "not_retryable"),
        item(2, "QUEUED"),
        item(3, "COMPLETED", "not_retryable"),
        item(4, "FAILED", "conflict"),
    )
    code, out, err = stitcher("retry", "--filter", "type:fix", "--yes")
    assert (code, out) == (6, "00000002  ● queued\n")
    assert err == "cannot retry 2 jobs, completed: 00000001, 00000003\ncannot retry 1 job, conflict: 00000004\n"
    assert api.requests == [(BULK, {"action": "retry", "q": "type:fix", "dryRun": False})]


def test_a_running_job_is_cancelling(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers[BULK] = bulk(item(1), item(2, "RUNNING"))
    assert stitcher("cancel", "--filter", "is:open", "--yes") == (
        0,
        "00000001  ⊘ cancelled\n00000002  ▶ cancelling\n",
        "",
    )


def test_json_is_the_document(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers[BULK] = bulk(item(1), item(2, "COMPLETED", "not_cancellable"))
    code, out, err = stitcher("cancel", "--filter", "type:fix", "--yes", "--json")
    assert (code, json.loads(out), err) == (6, api.answers[BULK][1], "")


def test_a_filter_without_matches(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers[BULK] = bulk()
    assert stitcher("cancel", "--filter", "type:x", "--yes") == (
        0,
        "",
        "no job matches the filter; try it with: stitcher ls FILTER\n",
    )


def test_without_a_terminal_it_needs_yes(api: FakeApi, stitcher: RunStitcher) -> None:
    assert stitcher("cancel", "--filter", "is:open")[0] == 2
    assert api.requests == []


@pytest.mark.parametrize(("answer", "code", "asked"), [("y\n", 6, [True, False]), ("n\n", 1, [True])])
def test_the_question_has_the_number_of_jobs(
    api: FakeApi, user: Any, answer: str, code: int, asked: list[bool]
) -> None:
    api.answers[BULK] = bulk(item(1, "QUEUED"), item(2, "COMPLETED", "not_cancellable"))
    stderr = user(answer)
    assert main(["--socket", str(api.path), "cancel", "--filter", "type:fix"]) == code
    assert "cannot cancel 1 job, completed: 00000002\n" in stderr.getvalue()
    assert "cancel 1 job? [y/N] " in stderr.getvalue()
    assert [body["dryRun"] for _, body in api.requests] == asked


@pytest.mark.parametrize("argv", [["--filter", "x", "7f3a1c9d"], [], ["--filter", "x", "--reason", "y", "--yes"]])
def test_a_filter_excludes_jobs_and_a_reason(api: FakeApi, stitcher: RunStitcher, argv: list[str]) -> None:
    code: str | int | None
    try:
        code = stitcher("cancel", *argv)[0]
    except SystemExit as left:
        code = left.code
    assert code == 2
    assert api.requests == []
