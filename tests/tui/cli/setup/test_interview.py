"""The questions of `stitcher init`, on a pseudo-terminal, and the flags that take their place."""

import os
import pty
import select
import signal
import sys
from pathlib import Path

import pytest

from shared.environment_file import read_environment
from tests.e2e.harness import ROOT
from tui.__main__ import main

LIMIT = 30.0  # seconds


class Dialogue:
    """`stitcher init` with a home directory of its own, on a pseudo-terminal."""

    def __init__(self, home: Path, *flags: str, **variables: str) -> None:
        self.config = home / ".config" / "stitcher"
        self.seen = ""
        self._answered = 0
        self._environ = {"HOME": str(home), "PATH": str(home / "bin"), "TERM": "xterm", "PYTHONPATH": str(ROOT)}
        self._environ |= variables
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell lets what it starts in the background ignore it
            os.execve(sys.executable, [sys.executable, "-m", "tui", "init", *flags], self._environ)

    def answer(self, question: str, text: str) -> None:
        """Wait for a question, and type a line."""
        while question not in self.seen[self._answered :] or not self.seen.endswith(": "):
            assert self._read(), self.seen
        self._answered = len(self.seen)
        os.write(self._fd, text.encode())

    def end(self) -> int:
        """Read to the end and return the exit code."""
        while self._read():
            pass
        code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        os.close(self._fd)  # not before: what it writes at its end would fail
        return code

    def _read(self) -> bool:
        if not select.select([self._fd], [], [], LIMIT)[0]:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # EIO: the other side is closed
            return False
        self.seen += data.decode()
        return bool(data)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "claude").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "claude").chmod(0o700)
    return tmp_path


def test_four_questions_give_a_configuration(home: Path) -> None:
    dialogue = Dialogue(home)
    for question, answer in (
        ("forge [github]", "bitbucket"),
        ("none of github, gitea, gitlab, mosaic, forgejo", "2"),
        ("its API", "http://git.example.org"),
        ("must start with https://", "https://git.example.org"),
        ("events by [pull]", ""),
        ("people mention or assign", "@robot"),
        ("GITEA_TOKEN", "two words"),
        ("must be one word", "the-token-of-robot"),
        ("repositories", "octo-org"),
        ("neither owner/name nor owner/*", "octo-org/api, octo-org/web*"),
        ("cloned from [https://git.example.org/{owner}/{name}.git]", "/srv/git/api.git"),
        ("write {name} for their names", ""),
        ("agent [claude]", "nothing-here"),
        ("no program 'nothing-here'", ""),
        ("ANTHROPIC_API_KEY", "the-key-of-the-model"),
        ("allowed [permission:write]", "octocat permission:all"),
        ("write one of permission:read", "octocat"),
    ):
        dialogue.answer(question, f"{answer}\n")
    assert dialogue.end() == 0, dialogue.seen
    assert "the-token-of-robot" not in dialogue.seen
    assert "the-key-of-the-model" not in dialogue.seen
    variables = read_environment(dialogue.config)
    assert len(variables.pop("GITEA_WEBHOOK_SECRET")) == 64
    assert variables == {"GITEA_TOKEN": "the-token-of-robot", "ANTHROPIC_API_KEY": "the-key-of-the-model"}
    settings = (dialogue.config / "stitcherd.toml").read_text()
    wanted = (
        'bot = "robot"',
        'api = "https://git.example.org/api/v1"',
        '[repositories."octo-org/web*"]',
        'pull = "60s"',
    )
    assert [each for each in wanted if f"\n{each}\n" not in settings] == []
    assert '\n  team: {users: ["gitea:octocat"]}\n' in (dialogue.config / "rails.yaml").read_text()


def test_what_flags_and_variables_say_is_not_asked(home: Path) -> None:
    flags = ("--forge", "github", "--events", "webhooks", "--bot", "robot", "--api", "https://github.com")
    dialogue = Dialogue(home, *flags, "--allow", "octocat", GITHUB_TOKEN="a-token", ANTHROPIC_API_KEY="a-key")
    dialogue.answer("repositories", "octo-org/api\n")
    dialogue.answer("cloned from [https://github.com/{owner}/{name}.git]", "\n")
    dialogue.answer("agent [claude]", "\n")
    assert dialogue.end() == 0, dialogue.seen
    variables = read_environment(dialogue.config)
    assert (variables["GITHUB_TOKEN"], variables["ANTHROPIC_API_KEY"]) == ("a-token", "a-key")


@pytest.mark.parametrize("key", ["\x03", "\x04"])
def test_whoever_gives_up_has_nothing_written(home: Path, key: str) -> None:
    dialogue = Dialogue(home)
    dialogue.answer("forge [github]", "mosaic\n")
    dialogue.answer("the bot's account", key)
    assert dialogue.end() == 130, dialogue.seen
    assert dialogue.seen.endswith("nothing was written\r\n")
    assert [path.name for path in home.iterdir()] == ["bin"]


def test_nothing_is_asked_beside_existing_files_or_if_that_is_not_wanted(home: Path) -> None:
    first = Dialogue(home, "--non-interactive")
    assert first.end() == 0, first.seen
    assert sorted(path.name for path in first.config.iterdir()) == ["rails.yaml", "stitcherd.toml"]
    before = {path: path.read_text() for path in first.config.iterdir()}
    second = Dialogue(home)
    assert second.end() == 0, second.seen
    assert "forge" not in second.seen
    third = Dialogue(home, "--forge", "github")
    assert third.end() == 2, third.seen
    assert "stitcherd.toml exists, and is not changed" in third.seen
    assert {path: path.read_text() for path in first.config.iterdir()} == before


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--forge bitbucket", "--forge: 'bitbucket' is none of github"),
        ("--forge gitea", "--forge gitea needs --api"),
        ("--forge github --events pull", "pull needs a token of the bot's account: set GITHUB_TOKEN"),
        ("--forge github --events push", "--events: 'push' is neither pull nor webhooks"),
        ("--forge github --allow permission:write", "--allow: a permission is asked of the forge, which needs a token"),
        ("--forge github --api https://u@host", "--api: 'https://u@host' is not a URL"),
        ("--forge mosaic --api https://host", "--api needs a forge with an API"),
        ("--forge mosaic --allow permission:write", "which needs a token: name logins"),
        ("--allow octocat", "--allow needs --forge"),
        ("--clone /srv/git/{name}.git", "--clone needs --repository"),
        ("--repository o/n", "--repository needs --clone here"),
        ("--repository o/n --clone /srv/{nam}.git", "--clone: {nam} is unknown"),
        ("--repository o/n --clone /nowhere/at/all", "--clone: there is no directory /nowhere/at/all"),
        ("--repository o/n --forge github", "--repository needs --clone here"),
        ("--repository o/n --forge github --clone https://h/n.git", "--clone: a URL needs a token of its forge"),
        ("--repository o/n --clone srv", "--clone: 'srv' is neither a path"),
        ("--agent codex", "--agent: there is no program 'codex' on PATH: install it first"),
        ("--agent openclaw", "--agent openclaw needs the token of the gateway: set OPENCLAW_GATEWAY_TOKEN"),
        ("--gateway ws://h", "--gateway needs --agent openclaw"),
        ("--listen 0.0.0.0:80", "--listen: '0.0.0.0:80' is not an address of this machine"),
    ],
)
def test_a_flag_that_cannot_be_used_says_why_and_nothing_is_written(
    flags: str, message: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("GITHUB_TOKEN", "OPENCLAW_GATEWAY_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(home / "bin"))
    assert main(["--config", str(home / "config"), "init", *flags.split()]) == 2
    assert message in capsys.readouterr().err
    assert not (home / "config").exists()


def test_the_unit_of_another_configuration_names_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(home / "bin"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "xdg"))
    monkeypatch.setenv("STITCHER_CONFIG_DIR", str(config := home / "an other 100%"))
    assert main(["init", "--systemd", "--forge", "mosaic"]) == 0
    unit = (home / "xdg" / "systemd" / "user" / "stitcherd.service").read_text()
    assert f'ExecStart=stitcherd --config "{config}%"\n' in unit
    assert f"EnvironmentFile=-{config}%/environment\n" in unit
    assert f'Environment="PATH={home / "bin"}"\n' in unit, "claude is there, where systemd does not look"
    assert "run `stitcherd --check`" in capsys.readouterr().err


def test_the_next_steps_name_another_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(tmp_path / "an other"), "init"]) == 0
    assert f"run `stitcherd --config '{tmp_path}/an other' --check`" in capsys.readouterr().err
