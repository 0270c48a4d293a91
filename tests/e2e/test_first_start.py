"""`stitcher init --start`: from nothing to a daemon that has answered a signed webhook, by systemd and without it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import ROOT, free_port
from tests.e2e.http_client import TIMEOUT

SYSTEMCTL = """\
#!/bin/sh
echo "$*" >> "$HOME/calls"
case "$*" in *enable*)
    setsid {python} -m stitcherd > "$HOME/log" 2>&1 < /dev/null & echo $! > "$HOME/pid";;
esac
exit {code}
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A home directory with a short path; the daemons that were started from it are ended."""
    directory = Path(tempfile.mkdtemp(prefix="init-"))
    yield directory
    for file in directory.rglob("pid"):
        with suppress(ProcessLookupError):
            os.kill(int(file.read_text()), signal.SIGKILL)
    shutil.rmtree(directory)


def start(home: Path, *flags: str, manager: bool = False, port: int | None = None) -> tuple[int, Any]:
    """Run `stitcher init --start` with a systemd of the user, or one that cannot be reached; return the document."""
    programs = home / "bin"
    programs.mkdir(exist_ok=True)
    (programs / "systemctl").write_text(SYSTEMCTL.format(python=sys.executable, code=0 if manager else 1))
    (programs / "systemctl").chmod(0o700)
    environ = {"HOME": str(home), "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    listen = f"127.0.0.1:{port or free_port()}"
    argv = [sys.executable, "-m", "tui", "init", "--start", "--json", "--listen", listen, *flags]
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def stop(command: str, home: Path) -> None:
    """End a daemon as its user is told to, and wait until it has ended."""
    program, pid = command.split()
    assert program == "kill"
    (home / "pid").write_text(pid)
    subprocess.run(["sh", "-c", command], check=True)
    deadline = time.monotonic() + TIMEOUT
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("flags", "verdict", "login"),
    [
        (("--forge", "github", "--allow", "octocat"), "allowed", "octocat"),
        (("--forge", "gitea", "--api", "https://git.example.org"), "denied", "nobody-in-particular"),
        (("--forge", "gitlab", "--allow", "octocat#7"), "allowed", "octocat"),
        (("--forge", "gitlab", "--allow", "octocat"), "allowed", "octocat"),
        (("--forge", "mosaic", "--allow", "source"), "allowed", ""),
    ],
    ids=["github", "gitea", "gitlab-with-id", "gitlab", "mosaic"],
)
def test_a_daemon_in_the_background_answers_a_signed_webhook(
    home: Path, flags: tuple[str, ...], verdict: str, login: str
) -> None:
    repositories = ("--repository", "octo-org/*", "--clone", "/srv/git/{name}.git")
    code, document = start(home, *flags, *repositories, "--agent", "sh")
    first = document["start"]
    stop(first["started"]["stop"], home)
    assert (code, first["fault"], first["started"]["waits_for"]) == (0, None, [])
    delivery = first["delivery"]
    assert (delivery["status"], delivery["verdict"], delivery["login"]) == (200, "ignored", login)
    assert delivery["decision"]["verdict"] == verdict, delivery["decision"]["reason"]
    assert Path(first["started"]["log"]).stat().st_mode & 0o777 == 0o600
    assert not (home / ".config" / "systemd").exists()


def test_the_systemd_of_the_user_starts_it_if_there_is_one(home: Path) -> None:
    code, document = start(home, "--forge", "github", "--allow", "octocat", "--agent", "sh", manager=True)
    first = document["start"]
    assert (code, first["fault"], first["delivery"]["verdict"]) == (0, None, "ignored")
    assert first["started"]["stop"] == "systemctl --user disable --now stitcherd"
    calls = (home / "calls").read_text().splitlines()
    assert calls == ["--user show-environment", "--user daemon-reload", "--user enable --now stitcherd.service"]
    assert str(home / ".config" / "systemd" / "user" / "stitcherd.service") in document["written"]


def test_a_daemon_that_cannot_start_is_reported_with_its_log(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, document = start(home, "--forge", "github", port=port)
    assert code == 1
    assert document["start"]["started"] is None
    fault = document["start"]["fault"]
    assert fault.startswith("stitcherd was not started: stitcherd ended with exit code 1 before it was ready")
    assert f"127.0.0.1:{port}" in fault


def test_a_second_start_says_that_one_answers_already(home: Path) -> None:
    code, document = start(home, "--agent", "sh")
    assert (code, document["start"]["delivery"]) == (0, None)
    command = document["start"]["started"]["stop"]
    environ = {"HOME": str(home), "PATH": f"{home / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    again = subprocess.run(
        [sys.executable, "-m", "tui", "init", "--start"], env=environ, capture_output=True, text=True, check=False
    )
    stop(command, home)
    assert again.returncode == 1
    assert "answers at" in again.stderr
    assert "already: stop it first" in again.stderr
