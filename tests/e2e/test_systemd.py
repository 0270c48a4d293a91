"""The unit that `stitcher init --start` writes, under a real systemd of a user: ready, reloaded, hung, killed, stopped.

The systemd has a mount namespace with an empty /run and control groups of its own, so that it needs no other one.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct

from tests.e2e.harness import ROOT, free_port, wait_until

SYSTEMD = Path("/lib/systemd/systemd")
GROUPS = [
    each for each in map(Path, ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup")) if each.is_dir()
]
START = """\
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system || exit
for procs in "$@"; do echo $$ > "$procs" || exit; done
exec /lib/systemd/systemd --user --log-target=console
"""
LIMIT = 60


class UserManager(Struct):
    """A systemd of a user, whose home and run directory are here, and commands where it is seen."""

    pid: int
    home: Path
    environ: dict[str, str]

    def run(self, *argv: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["nsenter", "--mount", f"--target={self.pid}", *argv],
            env={**self.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT,
        )

    def systemctl(self, *argv: str) -> str:
        done = self.run("systemctl", "--user", *argv)
        return (done.stdout + done.stderr).strip()

    def show(self, name: str) -> str:
        return self.systemctl("show", "stitcherd", "--property", name, "--value")

    def wait_for_restart(self, number: int) -> None:
        wait_until(
            lambda: (self.show("NRestarts"), self.show("ActiveState")) == (str(number), "active"),
            f"restart {number}",
            LIMIT,
        )


@pytest.fixture
def manager() -> Iterator[UserManager]:
    if os.geteuid() != 0 or not SYSTEMD.exists() or not shutil.which("systemctl") or not shutil.which("unshare"):
        pytest.skip("needs root, systemd and unshare: apt-get install systemd")
    home = Path(tempfile.mkdtemp(prefix="unit-"))
    (home / "run").mkdir(mode=0o700)
    groups = [each / home.name for each in (GROUPS if len(GROUPS) == 1 else GROUPS[:-1])]
    environ = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run"), "PATH": os.environ["PATH"]}
    try:
        for group in groups:
            group.mkdir()
        with (home / "log").open("wb") as log:
            argv = [
                "unshare",
                "--mount",
                "--cgroup",
                "sh",
                "-c",
                START,
                "sh",
                *(str(group / "cgroup.procs") for group in groups),
            ]
            process = subprocess.Popen(argv, env=environ, stdout=log, stderr=log)
        found = UserManager(process.pid, home, environ)
        try:
            wait_until(
                lambda: process.poll() is not None or found.systemctl("is-system-running") == "running", "systemd", 20
            )
            if process.poll() is not None:
                pytest.skip(f"systemd cannot run here: {(home / 'log').read_text()[-300:]}")
            yield found
        finally:
            process.terminate()
            process.wait(LIMIT)
    except PermissionError as error:
        pytest.skip(f"systemd cannot have control groups here: {error}")
    finally:
        for group in groups:
            for each in (*sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True), group):
                each.rmdir()
        shutil.rmtree(home)


def test_the_unit_runs_under_systemd(manager: UserManager) -> None:
    programs = manager.home / "bin"
    programs.mkdir()
    (programs / "stitcherd").write_text(f'#!/bin/sh\nexec {sys.executable} -m stitcherd "$@"\n')
    (programs / "stitcherd").chmod(0o700)
    path = f"{programs}:{manager.environ['PATH']}"
    unit = manager.home / ".config" / "systemd" / "user" / "stitcherd.service.d" / "test.conf"
    unit.parent.mkdir(parents=True)
    unit.write_text(f"[Service]\nWatchdogSec=2\nRestartSec=0\nEnvironment=PYTHONPATH={ROOT}\n")
    answers = ("--forge", "github", "--agent", "sh", "--allow", "octocat", "--listen", f"127.0.0.1:{free_port()}")
    init = ("init", "--start", "--json", *answers)
    started = manager.run(sys.executable, "-m", "tui", *init, PATH=path, PYTHONPATH=str(ROOT))
    assert started.returncode == 0, started.stdout + started.stderr
    assert '"verdict":"ignored"' in started.stdout, "the test delivery was answered by a daemon that is ready"
    assert [manager.show(name) for name in ("Type", "ActiveState", "WatchdogUSec")] == ["notify", "active", "2s"]

    assert manager.systemctl("reload", "stitcherd") == ""
    os.kill(int(manager.show("MainPID")), signal.SIGSTOP)
    manager.wait_for_restart(1)
    os.kill(int(manager.show("MainPID")), signal.SIGKILL)
    manager.wait_for_restart(2)
    assert manager.systemctl("stop", "stitcherd") == ""
    assert [manager.show(name) for name in ("Result", "ExecMainStatus", "ActiveState")] == ["success", "0", "inactive"]
