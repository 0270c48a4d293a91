"""`stitcher bundle`: its contents, its mode, and existing files."""

import io
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.tui import documents
from tests.tui.fake_api import FakeApi, RunStitcher

RAILS: dict[str, Any] = {
    "revision": "r-4f2a91c0",
    "digest": documents.DIGEST,
    "loadedAt": None,
    "mode": "enforce",
    "path": "rails.yaml",
    "text": "version: 1\n",
    "warnings": [],
    "error": None,
}
META = {"version": "0.1.0", "api": "1", "instance": "i", "pid": 7, "startedAt": "2026-11-22T14:02:11.284Z"}
ROOT = "stitcher-7f3a1c9d"


@pytest.fixture
def job(api: FakeApi) -> dict[str, Any]:
    """Serves a job with a step that has output, and everything that belongs to it."""
    steps = [
        documents.step(1, "checkout"),
        documents.step(2, "../a gate", type="GATE", phase="VALIDATION", outputBytes=3, **{"try": 1}),
    ]
    events = [documents.event(number, "job.created", new={"field": number}) for number in (1, 2)]
    document = documents.job(
        steps=steps, events=events, decision=documents.DECISION, deliveryId=documents.DELIVERY["id"], unknown=[1]
    )
    path = f"/runner-jobs/{documents.JOB}"
    api.answers |= {
        "GET /runner-jobs/7f3a1c9d": (200, document),
        f"GET {path}": (200, document),
        f"GET {path}/events": (200, {"items": events, "next": None}),
        f"GET {path}/steps/step-2/log": (200, b"\xff\x1b\n"),
        f"GET {path}/diff": (200, b"diff --git a/x b/x\n"),
        f"GET /deliveries/{documents.DELIVERY['id']}": (200, documents.DELIVERY),
        "GET /rails": (200, RAILS),
        "GET /meta": (200, META),
    }
    return dict(document)


def unpacked(content: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        files = {each.name: tar.extractfile(each) for each in tar.getmembers()}
        return {name.removeprefix(f"{ROOT}/"): file.read() for name, file in files.items() if file}


def test_a_bundle_contains_everything(job: dict[str, Any], stitcher: RunStitcher, tmp_path: Path) -> None:
    code, out, err = stitcher("bundle", "7f3a1c9d", "-o", str(tmp_path))
    target = tmp_path / f"{ROOT}.tar.gz"
    assert (code, out) == (0, f"{target}\n")
    assert err.startswith("10 files, ")
    assert "source code, prompts" in err
    assert target.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == [target.name]
    files = unpacked(target.read_bytes())
    assert json.loads(files["job.json"]) == job
    assert [json.loads(line)["payload"]["new"] for line in files["events.jsonl"].splitlines()] == [
        {"field": 1},
        {"field": 2},
    ]
    assert files["logs/1-02-___a_gate.log"] == b"\xff\x1b\n"
    assert files["changes/attempt-1.diff"] == b"diff --git a/x b/x\n"
    assert files["rails.yaml"] == b"version: 1\n"
    assert files["decision.txt"].startswith(b"DENIED\n  who: ")
    assert b"octo-org/api#479" in files["job.txt"]
    assert json.loads(files["delivery.json"])["event"] == "issue_comment"
    assert json.loads(files["versions.json"])["daemon"] == META
    assert b"Not included" not in files["README.txt"]


def test_rails_of_an_earlier_revision_are_requested(
    job: dict[str, Any], api: FakeApi, stitcher: RunStitcher, tmp_path: Path
) -> None:
    api.answers["GET /rails"] = 200, {**RAILS, "digest": f"4f2a91c0{'1' * 56}", "beforeText": "version: 1 # then\n"}
    assert stitcher("bundle", "7f3a1c9d", "-o", str(tmp_path / "b"))[0] == 0
    assert unpacked((tmp_path / "b").read_bytes())["rails.yaml"] == b"version: 1 # then\n"
    assert (f"GET /rails?against=r-{documents.DIGEST}", None) in api.requests


def test_missing_parts_are_listed(job: dict[str, Any], api: FakeApi, stitcher: RunStitcher, tmp_path: Path) -> None:
    gone = documents.problem(404, "not_found", "the log of this step is past its retention")
    api.answers[f"GET /runner-jobs/{documents.JOB}/steps/step-2/log"] = 404, gone
    code, _, err = stitcher("bundle", "7f3a1c9d", "-o", str(tmp_path / "b"))
    assert (code, "some parts are missing" in err) == (0, True)
    files = unpacked((tmp_path / "b").read_bytes())
    assert b"logs/1-02-___a_gate.log: the log of this step is past its retention" in files["README.txt"]
    assert not [name for name in files if name.startswith("logs/")]


def test_a_bundle_has_no_raw_output(job: dict[str, Any], api: FakeApi, stitcher: RunStitcher, tmp_path: Path) -> None:
    job["steps"].append(documents.step(3, "claude", type="AI_ACTION", phase="EXECUTION", outputBytes=3))
    api.answers["GET /runner-jobs/7f3a1c9d"] = 200, job
    api.answers[f"GET /runner-jobs/{documents.JOB}/steps/step-3/log"] = 200, b"ok\n"
    assert stitcher("bundle", "7f3a1c9d", "-o", str(tmp_path / "b"))[0] == 0
    assert unpacked((tmp_path / "b").read_bytes())["logs/1-03-claude.log"] == b"ok\n"
    assert not [path for path, _ in api.requests if "raw" in path], "it is what the agent wrote"


def test_an_existing_file_is_kept(job: dict[str, Any], stitcher: RunStitcher, tmp_path: Path) -> None:
    target = tmp_path / "mine"
    target.write_text("mine")
    code, out, err = stitcher("bundle", "7f3a1c9d", "-o", str(target))
    assert (code, out, target.read_text()) == (2, "", "mine")
    assert "--force" in err
    assert stitcher("bundle", "7f3a1c9d", "-o", str(target), "--force")[0] == 0
    assert unpacked(target.read_bytes())
    assert target.stat().st_mode & 0o777 == 0o600
    assert stitcher("bundle", "7f3a1c9d", "-o", "/dev/null", "--force")[0] == 2


def test_a_failure_leaves_no_file(job: dict[str, Any], api: FakeApi, stitcher: RunStitcher, tmp_path: Path) -> None:
    assert stitcher("bundle", "00000000", "-o", str(tmp_path))[0] == 5
    api.answers["GET /meta"] = 200, b"{"
    assert stitcher("bundle", "7f3a1c9d", "-o", str(tmp_path))[0] == 1
    assert stitcher("bundle", "7f3a1c9d", "-o", str(tmp_path / "no" / "such"))[0] == 1
    assert list(tmp_path.iterdir()) == []


def test_json_describes_the_file(job: dict[str, Any], stitcher: RunStitcher, tmp_path: Path) -> None:
    document = json.loads(stitcher("bundle", "7f3a1c9d", "-o", str(tmp_path), "--json")[1])
    assert document["file"] == str(tmp_path / f"{ROOT}.tar.gz")
    assert document["bytes"] == (tmp_path / f"{ROOT}.tar.gz").stat().st_size
    assert "logs/1-02-___a_gate.log" in document["files"]
    assert stitcher("bundle", "7f3a1c9d", "-o", "-", "--json")[0] == 2


def test_a_bundle_can_be_piped(job: dict[str, Any], stitcher: RunStitcher, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    pipe = io.TextIOWrapper(written)
    monkeypatch.setattr(sys, "stdout", pipe)
    assert stitcher("bundle", "7f3a1c9d", "-o", "-")[0] == 0
    assert "job.json" in unpacked(written.getvalue())
    written.truncate(0)
    monkeypatch.setattr(pipe, "isatty", lambda: True)
    assert (stitcher("bundle", "7f3a1c9d", "-o", "-")[0], written.getvalue()) == (2, b"")
