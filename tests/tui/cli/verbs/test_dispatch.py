"""`stitcher dispatch`: the request, the printed id, and a denial."""

import io

import pytest

from tests.tui import documents
from tests.tui.fake_api import FakeApi, RunStitcher


def test_dispatch_prints_the_short_id(api: FakeApi, stitcher: RunStitcher, monkeypatch: pytest.MonkeyPatch) -> None:
    api.answers["POST /runner-jobs"] = (201, documents.job(status="QUEUED"))
    stdin = io.TextIOWrapper(io.BytesIO("bump the pärser\n".encode()))
    monkeypatch.setattr("sys.stdin", stdin)
    argv = "fix --repo octo-org/api --ref main --prompt - --agent task-7 --priority 0 --key k1"
    code, out, err = stitcher("dispatch", *argv.split())
    assert (code, out, err) == (0, "7f3a1c9d\n", "● queued: fix on octo-org/api#479\n")
    body = {
        "type": "fix",
        "repository": "octo-org/api",
        "ref": "main",
        "prompt": "bump the pärser\n",
        "agentTaskId": "task-7",
        "priority": 0,
        "idempotencyKey": "k1",
    }
    assert api.requests == [("POST /runner-jobs", body)]
    stitcher("dispatch", "fix", "--prompt", "look")
    assert api.requests[-1] == ("POST /runner-jobs", {"type": "fix", "prompt": "look"})


@pytest.mark.parametrize("argv", [(), ("--prompt", " "), ("--prompt", "-"), ("--repo", "", "--priority", "3")])
def test_a_job_without_repository_and_prompt_is_refused(
    api: FakeApi, stitcher: RunStitcher, monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\n")))
    code, out, err = stitcher("dispatch", "fix", *argv)
    assert (code, out, api.requests) == (2, "", [])
    assert "there is nothing to do: give a repository or a prompt, with --repo OWNER/NAME or --prompt TEXT" in err


def test_a_denied_dispatch_prints_the_decision(api: FakeApi, stitcher: RunStitcher) -> None:
    refusal = documents.problem(403, "denied", "who: nobody may", decision=documents.DECISION)
    api.answers["POST /runner-jobs"] = (403, refusal)
    code, out, err = stitcher("dispatch", "fix", "--repo", "octo-org/api")
    assert (code, out) == (4, "")
    assert "to allow it: add github:drive-by to team (rails.yaml:9)" in err
    assert err.endswith("stitcher: who: nobody may\n")


def test_a_prompt_that_is_not_utf_8_is_a_usage_error(stitcher: RunStitcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff")))
    assert stitcher("dispatch", "fix", "--prompt", "-")[0] == 2
