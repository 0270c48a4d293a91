"""Every combination of answers gives files that are valid together, and that say what was answered."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.environment_file import read_environment
from stitcherd.config.load import load_settings
from stitcherd.config.settings import Settings
from stitcherd.configuration import SUPPORTED_KINDS, machine_warnings, rails_context
from stitcherd.rails.compiled import CompiledRails
from stitcherd.rails.load import load_rails
from tests.e2e.harness import ROOT
from tui.__main__ import main
from tui.cli.agents import KNOWN_AGENTS

FORGES = {
    "github": (),
    "gitea": ("--api", "https://git.example.org"),
    "gitlab": ("--api", "https://gitlab.example.org"),
    "mosaic": ("--clone", "/srv/git/{name}.git"),
}
AGENTS = (*(each.name for each in KNOWN_AGENTS), "openclaw", "my-agent --fast", None)
WHO = ("octocat", "permission:write", "source", None)
TOKENS = ("GITHUB_TOKEN", "GITEA_TOKEN", "GITLAB_TOKEN", "OPENCLAW_GATEWAY_TOKEN")
ANSWERS = [
    (forge, agent, who)
    for forge, agent, who in itertools.product(FORGES, AGENTS, WHO)
    if who != ("permission:write" if forge == "mosaic" else "source")
]
WAYS = ("pull", "webhooks")
COMBINATIONS = [
    (forge, None if forge == "mosaic" else WAYS[at % 2], agent, who) for at, (forge, agent, who) in enumerate(ANSWERS)
]


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PATH with all known agents, one that nobody knows, and bubblewrap; and the variables of a user."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in (*(each.name for each in KNOWN_AGENTS), "my-agent"):
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o700)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/short")  # the path of a socket below HOME would be too long
    for name in TOKENS:
        monkeypatch.setenv(name, "a-token-of-the-forge")


def init(config: Path, forge: str, way: str | None, agent: str | None, who: str | None) -> None:
    flags = ["--forge", forge, *FORGES[forge], "--repository", "octo-org/*"]
    for flag, value in (("--events", way), ("--agent", agent), ("--allow", who)):
        flags += [flag, value] if value else []
    assert main(["--config", str(config), "init", "--non-interactive", *flags]) == 0


def read(config: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Settings, CompiledRails]:
    """Return both files as the daemon reads them, with the variables of the environment file alone."""
    for name in TOKENS:
        monkeypatch.delenv(name, raising=False)
    for name, value in read_environment(config).items():
        monkeypatch.setenv(name, value)
    settings = load_settings(config, SUPPORTED_KINDS)
    return settings, load_rails(config / "rails.yaml", rails_context(config, settings))


@pytest.mark.parametrize(("forge", "way", "agent", "who"), COMBINATIONS)
def test_what_is_written_is_valid(
    forge: str,
    way: str | None,
    agent: str | None,
    who: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = tmp_path / "config"
    init(config, forge, way, agent, who)
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in config.iterdir())
    secret = read_environment(config)[f"{forge.upper()}_WEBHOOK_SECRET"]
    said = capsys.readouterr()
    assert secret not in said.out + said.err
    settings, rails = read(config, monkeypatch)
    warnings = [warning.message for warning in (*rails.warnings, *machine_warnings(rails, settings))]
    gateway = agent == "openclaw"
    expected = ["profile weaver sets no sandbox, so job fix has none there: write sandbox: bwrap, or sandbox: none"]
    nobody = "team has no members yet: add an account to its users, like github:octocat"
    assert [each for each in warnings if "bwrap does not" not in each] == [
        *([] if who else [nobody]),
        *(expected if gateway else []),
    ]
    assert settings.warnings == ()
    source = settings.sources[forge]
    assert source.secrets == (secret.encode(),)
    assert (source.pull, source.has_credential) == (60.0 if way == "pull" else None, forge != "mosaic")
    assert settings.repository("octo-org/api") is not None
    known = agent is None or agent in {each.name for each in KNOWN_AGENTS}
    wanted = (agent or "claude") if known else "openclaw" if gateway else "agent"
    assert rails.profiles["weaver"].executor == wanted
    assert wanted in settings.executors


@pytest.mark.parametrize(
    ("forge", "way", "agent", "who"),
    [
        ("github", "pull", "claude", "permission:write"),
        ("gitea", "webhooks", "my-agent --fast", "octocat"),
        ("gitlab", "pull", "openclaw", "permission:write"),
        ("mosaic", None, None, "source"),
    ],
)
def test_the_daemon_accepts_it_with_no_variable_set(
    forge: str, way: str | None, agent: str | None, who: str | None, tmp_path: Path
) -> None:
    init(tmp_path / "config", forge, way, agent, who)
    checked = subprocess.run(
        [sys.executable, "-m", "stitcherd", "--check", "--config", str(tmp_path / "config")],
        cwd=ROOT,
        env={name: os.environ[name] for name in ("PATH", "HOME", "XDG_RUNTIME_DIR")},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert checked.returncode == 0, checked.stderr


def test_the_people_are_those_that_were_named(tmp_path: Path) -> None:
    flags = ["--forge", "github", "--allow", "@octocat", "--allow", "hubot[bot]", "--allow", "permission:admin"]
    assert main(["--config", str(tmp_path / "config"), "init", "--non-interactive", *flags]) == 0
    text = (tmp_path / "config" / "rails.yaml").read_text()
    members = '{permission: admin, users: ["github:octocat", "github:hubot[bot]"]}'
    assert f"  team: {members}\n" in text


def test_a_forge_without_a_token_gets_webhooks_and_is_told_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GITHUB_TOKEN")
    flags = ["--forge", "github", "--repository", "octo-org/*", "--clone", "~/{name}.git", "--allow", "octocat"]
    assert main(["--config", str(tmp_path / "config"), "init", *flags, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["written"]) == 3
    settings, rails = read(tmp_path / "config", monkeypatch)
    source = settings.sources["github"]
    assert (source.pull, source.token, source.api) == (None, None, "https://api.github.com")
    assert rails.warnings == ()
    assert "\nreport:" not in (tmp_path / "config" / "rails.yaml").read_text()
    assert "#GITHUB_TOKEN=\n" in (tmp_path / "config" / "environment").read_text()
