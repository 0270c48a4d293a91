"""The parts of the demo: its repository, its agent, its files, its signatures, its telling and its clean end."""

import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from ruamel.yaml import YAML

from shared.models import JobEvent, JobStep
from tests.tui import documents
from tests.tui.fake_api import FakeApi
from tui.cli.demo import agent, daemon, environment, webhooks
from tui.cli.demo.daemon import DemoFailed
from tui.cli.demo.progress import ProgressFormatter, follow_job
from tui.client.http import DaemonClient


@pytest.fixture
def scene(tmp_path: Path) -> environment.DemoEnvironment:
    return environment.build_environment(tmp_path)


def _tests(where: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-B", "-m", "unittest", "-v"]
    return subprocess.run(argv, cwd=where, capture_output=True, text=True, check=False)


def _agent(where: Path, number: int, prompt: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-I", agent.__file__]
    environ = {"PATH": os.environ["PATH"], "STITCHER_TRY": str(number)}
    return subprocess.run(argv, cwd=where, env=environ, input=prompt, capture_output=True, text=True, check=False)


def test_the_agent_needs_what_the_gate_said(tmp_path: Path) -> None:
    for name, text in environment.REPOSITORY_FILES.items():
        (tmp_path / name).write_text(text, "utf-8")
    assert "FAILED (failures=2)" in _tests(tmp_path).stderr
    first = _agent(tmp_path, 1, "the last row is missing\n")
    assert (first.returncode, "stand-in" in first.stdout) == (0, True)
    gate = _tests(tmp_path)
    assert "FAILED (failures=1)" in gate.stderr
    assert _agent(tmp_path, 2, "the last row is missing\n").returncode == 1
    assert _tests(tmp_path).returncode == 1
    assert _agent(tmp_path, 2, f"the last row is missing\n{gate.stderr}").returncode == 0
    assert _tests(tmp_path).returncode == 0


def test_the_repository_takes_nothing_of_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "pre-commit").write_text("#!/bin/sh\nexit 1\n")
    (hooks / "pre-commit").chmod(0o755)
    config = tmp_path / "gitconfig"
    config.write_text(f"[core]\n hooksPath = {hooks}\n[commit]\n gpgsign = true\n[init]\n defaultBranch = trunk\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    commit = environment.create_repository(tmp_path / "api.git", tmp_path / "seed")
    bare = f"--git-dir={tmp_path / 'api.git'}"
    assert (
        environment.run_git(bare, "log", "--format=%H %an <%ae>", "main") == f"{commit} octocat <octocat@localhost>\n"
    )
    assert environment.run_git(bare, "ls-tree", "--name-only", "main").split() == list(environment.REPOSITORY_FILES)


def test_the_files_of_the_daemon_parse_and_its_key_is_private(scene: environment.DemoEnvironment) -> None:
    settings = tomllib.loads((scene.config / "stitcherd.toml").read_text("utf-8"))
    key = Path(settings["sources"]["github"]["secrets"][0]["file"])
    assert key.read_text("utf-8") == scene.secret
    assert key.stat().st_mode & 0o077 == 0
    assert settings["daemon"]["socket"] == str(scene.socket)
    assert settings["executors"]["agent"]["argv"] == [sys.executable, "-I", agent.__file__]
    assert settings["repositories"]["octo-org/*"]["clone"].format(name="api") == str(scene.bare)
    rails = YAML(typ="safe").load((scene.config / "rails.yaml").read_text("utf-8"))
    assert rails["jobs"]["fix"] == {
        "profile": "weaver",
        "needs": ["repo:write", "git:commit"],
        "gates": ["tests"],
        "tries": 3,
    }
    assert rails["gates"]["tests"]["run"] == [sys.executable, "-m", "unittest", "-v"]


def test_the_directory_is_private_and_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 90)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    root = environment.create_directory()
    try:
        assert root.stat().st_mode & 0o777 == 0o700
        assert len(os.fsencode(root / "run" / "stitcherd.sock")) <= 107
    finally:
        root.rmdir()


def test_comments_are_signed_as_github_signs() -> None:
    published = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert webhooks.sign("It's a Secret to Everybody", b"Hello, World!") == published
    body = webhooks.comment_body(webhooks.IssueComment(480, "t", "drive-by", "@mosaic fix it"))
    digest = hmac.new(b"k", body, hashlib.sha256).hexdigest()
    assert webhooks.sign("k", body) == f"sha256={digest}"
    document = json.loads(body)
    assert (document["action"], document["sender"]["login"]) == ("created", "drive-by")
    assert document["issue"]["number"] == 480
    assert document["comment"]["body"] == "@mosaic fix it"
    assert document["repository"]["full_name"] == "octo-org/api"


def test_the_reel_joins_lines_and_tells_each_step() -> None:
    def step(*given: Any, **more: Any) -> JobStep:
        return msgspec.convert(documents.step(*given, **more), JobStep)

    def events(*given: Any) -> list[JobEvent]:
        return [msgspec.convert(documents.event(n, *one[:2], **one[2]), JobEvent) for n, one in enumerate(given)]

    agent_step = step(2, "agent", type="AI_ACTION", phase="EXECUTION", status="RUNNING", durationMs=None, **{"try": 1})
    reel = ProgressFormatter(lambda text, _colour: text)
    first = events(
        ("job.started", None, {}),
        ("step.started", "step-2", {}),
        ("step.output", "step-2", {"text": "one\ntw"}),
        ("step.output", "step-2", {"text": "o\x1b\nthree"}),
    )
    assert list(reel.lines(first, [agent_step])) == [
        "try 1     agent starts",
        "          | one",
        "          | two\\x1b",
    ]
    done = step(2, "agent", type="AI_ACTION", phase="EXECUTION", durationMs=1500, **{"try": 1})
    gate = step(3, "tests", type="GATE", status="FAILED", exitCode=1, output="a\n\nFAILED\n", **{"try": 1})
    second = events(
        ("step.completed", "step-2", {}),
        ("step.output", "step-3", {"text": "a\n"}),
        ("step.failed", "step-3", {}),
        ("gate.failed", "step-3", {}),
    )
    assert list(reel.lines(second, [done, gate])) == [
        "          | three",
        "try 1     agent ✓ completed in 1.5s",
        "try 1     gate tests ✗ failed, exit 1 in 1.1s",
        "          | a",
        "          | FAILED",
    ]


def test_following_ends_with_the_job(api: FakeApi) -> None:
    path = f"GET /runner-jobs/{documents.JOB}"
    api.answers[path] = (200, documents.job(steps=[documents.step(1, "checkout")]))
    api.answers[f"{path}/events"] = (200, {"items": [documents.event(7, "step.completed", "step-1")], "next": None})
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        api.answers[f"{path}/events"] = (200, {"items": [], "next": None})

    job = follow_job(DaemonClient(api.path), documents.JOB, say, lambda text, _colour: text)
    assert job.id == documents.JOB
    assert said == ["   setup     checkout ✓ completed in 1.1s", "   The job is COMPLETED, after 2m40s and 2 tries."]
    assert any("after=7&" in request for request, _ in api.requests)


def test_a_daemon_that_ends_at_once_is_told_with_its_log(scene: environment.DemoEnvironment) -> None:
    process = daemon.start(scene, (sys.executable, "-c", "import sys; sys.exit('stitcherd.toml:3: no')"))
    with pytest.raises(DemoFailed, match="ended with exit code 1"):
        daemon.wait_until_ready(scene, process)
    assert daemon.log_tail(scene) == ["stitcherd.toml:3: no"]


def test_a_daemon_that_does_not_want_to_end_is_ended(
    scene: environment.DemoEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "_STOP_TIMEOUT", 0.2)
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    process = daemon.start(scene, (sys.executable, "-c", deaf))
    while not daemon.log_tail(scene):
        time.sleep(0.01)
    daemon.stop(process)
    assert process.returncode == -9


def test_without_git_the_demo_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    environ = {"PATH": str(tmp_path), "TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(environment.__file__).parents[3])}
    argv = [sys.executable, "-m", "tui", "demo", "--json"]
    ran = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert json.loads(ran.stdout)["ok"] is False
    assert "git is not on PATH" in ran.stderr
    assert list(tmp_path.iterdir()) == []
