"""The demo's directory, repository and configuration."""

import os
import sys
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tui.cli.demo import agent, environment


@pytest.fixture
def demo_environment(tmp_path: Path) -> environment.DemoEnvironment:
    return environment.build_environment(tmp_path)


def test_the_repository_ignores_the_users_git_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_the_configuration_is_valid_and_the_secret_private(demo_environment: environment.DemoEnvironment) -> None:
    settings = tomllib.loads((demo_environment.config / "stitcherd.toml").read_text("utf-8"))
    key = Path(settings["sources"]["github"]["secrets"][0]["file"])
    assert key.read_text("utf-8") == demo_environment.secret
    assert key.stat().st_mode & 0o077 == 0
    assert settings["daemon"]["socket"] == str(demo_environment.socket)
    assert settings["executors"]["agent"]["argv"] == [sys.executable, "-I", agent.__file__]
    assert settings["repositories"]["octo-org/*"]["clone"].format(name="api") == str(demo_environment.bare)
    rails = YAML(typ="safe").load((demo_environment.config / "rails.yaml").read_text("utf-8"))
    assert rails["jobs"]["fix"] == {
        "profile": "weaver",
        "needs": ["repo:write", "git:commit"],
        "gates": ["scope", "tests"],
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
