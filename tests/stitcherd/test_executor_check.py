"""What the doctor finds out about the program of an executor: whether it starts, and what it lacks."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stitcherd import executor_check
from stitcherd.sandbox import bubblewrap
from tests.stitcherd.doctor_harness import of_state

SETTINGS = """
[executors.agent]
kind = "{kind}"
argv = {argv}
{more}
"""
RAILS = """
version: 1
people:
  team: {{permission: write}}
profiles:
  weaver:
    executor: agent
    capabilities: [repo:read]
{profile}
jobs:
  fix: {{profile: weaver, needs: [repo:read]}}
triggers:
  - {{id: fix, on: [issue.comment], command: fix, from: [team], job: fix}}
"""
CODEX = ["exec", "--json", "--dangerously-bypass-approvals-and-sandbox", "-"]
VERSION = 'echo "agent 1.2.3 ($1)"'
Check = Callable[..., list[dict[str, str]]]

needs_bwrap = pytest.mark.skipif(bubblewrap.unavailable_reason() is not None, reason="needs bubblewrap")


@pytest.fixture
def check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Check:
    def run(
        program: Path | str,
        *words: str,
        kind: str = "command",
        more: str = 'output = "codex"',
        profile: str = "    sandbox: none",
    ) -> list[dict[str, str]]:
        argv, config = json.dumps([str(program), *words]), tmp_path / "config"  # no mount may show this directory
        config.mkdir(exist_ok=True)
        (config / "stitcherd.toml").write_text(SETTINGS.format(kind=kind, argv=argv, more=more))
        (config / "rails.yaml").write_text(RAILS.format(profile=profile))
        assert executor_check.main(["--config", str(config)]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., Path]:
    def write(script: str, interpreter: str = "/bin/sh") -> Path:
        file = tmp_path / "bin" / "agent"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!{interpreter}\n{script}\n")
        file.chmod(0o755)
        return file

    return write


def boxed(*mounts: object, network: str = "host", more: str = "") -> str:
    written = json.dumps([str(each) for each in mounts])
    return f"    sandbox: bwrap\n    network: {network}\n    mounts: {written}\n{more}"


def test_a_program_that_starts_tells_its_version(check: Check, program: Callable[..., Path]) -> None:
    [found] = check(program(VERSION), *CODEX)
    assert found == {
        "name": "executor agent",
        "state": "ok",
        "detail": "agent 1.2.3 (--version) starts without a sandbox",
        "remedy": None,
    }


def test_a_program_that_fails_says_why(check: Check, program: Callable[..., Path]) -> None:
    file = program("echo no licence >&2; exit 3")
    [found] = check(file, *CODEX)
    assert found["state"] == "problem"
    assert found["detail"] == f"{file} --version ended with exit code 3 without a sandbox: no licence"
    [agent] = check(file, kind="acp", more="")  # which may not know the option
    assert agent["state"] == "warning"


def test_a_program_that_does_not_end_is_ended(
    check: Check, program: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor_check, "SECONDS_MAX", 0.2)
    [found] = check(program("exec sleep 600"), *CODEX)
    assert found["detail"].endswith("--version did not end within 0.2 s without a sandbox")


def test_a_program_of_plain_output_is_not_started(check: Check, program: Callable[..., Path], tmp_path: Path) -> None:
    file = program(f"touch {tmp_path}/started")
    [found] = check(file, more="")
    assert (found["state"], found["detail"]) == ("ok", f"{file} can be found without a sandbox")
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize(
    ("output", "argv", "missing"),
    [
        ("claude", ["-p"], "--output-format stream-json, --verbose"),
        ("claude", ["--print", "--output-format=stream-json", "--verbose"], None),
        ("codex", ["exec", "-"], "--json"),
        ("gemini", ["-o", "json"], "-o stream-json"),
        ("gemini", ["--output-format", "stream-json"], None),
        ("opencode", ["run", "json", "--format"], "--format json"),
        ("opencode", ["run", "--format", "json"], None),
    ],
)
def test_options_that_an_output_needs(
    check: Check, program: Callable[..., Path], output: str, argv: list[str], missing: str | None
) -> None:
    found = check(program(VERSION), *argv, more=f'output = "{output}"')
    expected = [] if missing is None else [f"output {output} needs {missing}, which its argv does not have"]
    assert of_state(found, "warning") == expected


def test_a_variable_that_is_not_set(
    check: Check, program: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = "    sandbox: none\n    env: [AGENT_KEY]"
    monkeypatch.delenv("AGENT_KEY", raising=False)
    found = check(program(VERSION), *CODEX, profile=profile)
    assert of_state(found, "warning") == ["profile weaver passes on AGENT_KEY, which is not set where the doctor runs"]
    monkeypatch.setenv("AGENT_KEY", "k")
    assert of_state(check(program('echo "$AGENT_KEY"'), *CODEX, profile=profile), "ok") == [
        "k starts without a sandbox"
    ]


@needs_bwrap
def test_a_mount_that_is_missing_is_named(check: Check, program: Callable[..., Path]) -> None:
    file = program(VERSION)
    [found] = check(file, *CODEX, profile=boxed())
    assert found["state"] == "problem"
    assert found["remedy"] == f'add to mounts of profile weaver: ["{file.parent}"]'
    [agent] = check(file, kind="acp", more="", profile=boxed())
    assert (agent["state"], agent["remedy"]) == (found["state"], found["remedy"])
    [shown] = check(file, *CODEX, profile=boxed(file.parent))
    assert shown["detail"] == "agent 1.2.3 (--version) starts in the sandbox of profile weaver"


@needs_bwrap
def test_the_mount_of_an_interpreter_is_named(
    check: Check, program: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lang").mkdir()
    (tmp_path / "lang" / "runs-agents").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", f"{tmp_path}/lang:/usr/bin:/bin")
    file = program(VERSION, "/usr/bin/env runs-agents")
    [found] = check(file, *CODEX, profile=boxed(file.parent))
    assert "ended with exit code 127 in the sandbox of profile weaver" in found["detail"]
    assert found["remedy"] == f'add to mounts of profile weaver: ["{tmp_path}/lang"]'


@needs_bwrap
def test_what_the_sandbox_of_a_profile_lacks(check: Check, program: Callable[..., Path], tmp_path: Path) -> None:
    file = program(VERSION)
    found = check(file, "exec", "--json", "-", profile=boxed(file.parent, tmp_path / "gone", network="none"))
    assert of_state(found, "problem") == [f"{tmp_path}/gone, a mount of profile weaver, does not exist"]
    assert of_state(found, "warning") == [
        "the sandbox of profile weaver has no network, and the agent asks its model over it",
        "the sandbox of Codex does not work inside that of profile weaver: its commands fail",
    ]


def test_settings_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "stitcherd.toml").write_text("[executors.agent]\nkind = 3\n")
    assert executor_check.main(["--config", str(tmp_path)]) == 2
