"""`stitcher init`: writes a valid, private configuration once."""

import json
from pathlib import Path

import pytest

from stitcherd.config.load import load_settings
from stitcherd.configuration import SUPPORTED_KINDS, rails_context
from stitcherd.rails import load as rails_load
from stitcherd.sandbox.bubblewrap import SandboxSpec
from stitcherd.sandbox.programs import start_fault
from tests.stitcherd.rails.contexts import CONTEXT
from tui.__main__ import main
from tui.cli.agents import KNOWN_AGENTS


@pytest.fixture(autouse=True)
def programs(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only directory on PATH, which is empty."""
    directory = tmp_path_factory.mktemp("bin")
    monkeypatch.setenv("PATH", str(directory))
    return directory


def install(path: Path, text: str = "#!/bin/sh\n") -> Path:
    """Write a program, and the directories that it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o700)
    return path


def test_both_files_are_written_and_valid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = tmp_path / "stitcher"
    assert main(["init", "--config", str(directory)]) == 0
    assert capsys.readouterr().out.count("wrote") == 2
    assert load_settings(directory, SUPPORTED_KINDS).warnings == ()
    assert rails_load.load_rails(directory / "rails.yaml", CONTEXT).profiles["weaver"].sandbox == "bwrap"
    for path in (directory, *directory.iterdir()):
        assert path.stat().st_mode & 0o077 == 0


def test_existing_files_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rails.yaml").write_text("mine")
    assert main(["init", "--config", str(tmp_path)]) == 0
    assert (tmp_path / "rails.yaml").read_text() == "mine"
    assert capsys.readouterr().out.splitlines()[1].startswith("kept")


def test_an_unwritable_place_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["init", "--config", str(tmp_path / "file")]) == 2
    assert f"{tmp_path / 'file'} cannot be written" in capsys.readouterr().err


def test_the_unit_names_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "stitcherd"
    program.parent.mkdir()
    program.touch(mode=0o700)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("STITCHER_CONFIG_DIR", raising=False)
    assert main(["init", "--systemd", "--json"]) == 0
    unit = tmp_path / "xdg" / "systemd" / "user" / "stitcherd.service"
    assert f"ExecStart={program}\n" in unit.read_text()


def test_each_agent_on_path_gets_an_executor_and_the_first_one_a_profile(
    tmp_path: Path, programs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for agent in KNOWN_AGENTS:
        install(programs / agent.name)
    assert main(["init", "--config", str(tmp_path)]) == 0
    settings = load_settings(tmp_path, SUPPORTED_KINDS)
    assert settings.warnings == ()
    for agent in KNOWN_AGENTS:
        executor = settings.executors[agent.name]
        assert (executor.kind, executor.argv) == ("command" if agent.output else "acp", agent.argv)
        assert (executor.output, executor.resume) == (agent.output or "plain", True)
        after = (tmp_path / "stitcherd.toml").read_text().partition(f"[executors.{agent.name}]\n")[2]
        table = after.partition("\n\n")[0]
        assert ("#prices = {" in table) is (agent.output in {"codex", "gemini", "opencode"}), "as budgets need them"
    rails = rails_load.load_rails(tmp_path / "rails.yaml", rails_context(tmp_path, settings))
    profile = rails.profiles["weaver"]
    assert (profile.executor, profile.sandbox, profile.env) == ("claude", "bwrap", ("ANTHROPIC_API_KEY",))
    assert profile.box is not None
    assert (profile.box.network, profile.box.mounts) == (True, (str(programs),))
    said = capsys.readouterr()
    assert said.out.count("found") == len(KNOWN_AGENTS)
    assert "network: host" in said.err
    assert "ANTHROPIC_API_KEY" in said.err


def test_the_mounts_are_those_of_the_program_and_of_what_runs_it(
    tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    modules, node = tmp_path / "lib" / "node_modules", tmp_path / "node" / "bin"
    script = install(modules / "@openai" / "codex" / "bin" / "codex.js", "#!/usr/bin/env node\n")
    (programs / "codex").symlink_to(script)
    install(node / "node")
    monkeypatch.setenv("PATH", f"{programs}:{node}")
    assert main(["init", "--config", str(tmp_path / "config"), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["agents"]
    assert (found["agent"]["key"], found["program"]) == ("CODEX_API_KEY", str(programs / "codex"))
    sandbox = SandboxSpec(mounts=tuple(found["mounts"]))
    assert set(sandbox.mounts) == {str(programs), str(modules), str(node)}
    assert start_fault("codex", sandbox, search_path=str(programs)) is None
    assert start_fault("node", sandbox, search_path=str(node)) is None


def test_no_mount_shows_the_home_directory(
    tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (programs / "claude").symlink_to(install(tmp_path / "claude"))
    assert main(["init", "--config", str(tmp_path / "config"), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["agents"]
    assert found["mounts"] == [str(programs)]


def test_rails_beside_existing_settings_name_no_agent_that_these_lack(tmp_path: Path, programs: Path) -> None:
    install(programs / "claude")
    (tmp_path / "stitcherd.toml").touch(mode=0o600)
    assert main(["init", "--config", str(tmp_path)]) == 0
    assert rails_load.load_rails(tmp_path / "rails.yaml", CONTEXT).profiles["weaver"].executor == "agent"
