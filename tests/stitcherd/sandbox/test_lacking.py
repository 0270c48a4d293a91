"""What is said where the sandbox that rails ask for cannot be had: why, what would help, and who waits for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stitcherd.sandbox import bubblewrap
from stitcherd.sandbox.bubblewrap import SandboxSpec, find_remedy, missing_sandbox_warnings

SETTINGS = """\
[executors.agent]
kind = "command"
argv = ["true"]
"""
RAILS = """\
version: 1
profiles:
  weaver: {capabilities: [repo:read], executor: agent, sandbox: bwrap}
  free: {capabilities: [repo:read], executor: agent}
jobs:
  fix: {profile: weaver, gates: [tests]}
  look: {profile: free, gates: [tests]}
gates:
  tests: {run: [make], sandbox: bwrap}
"""


def test_checking_the_files_says_what_this_machine_lacks(tmp_path: Path) -> None:
    for name, text in (("stitcherd.toml", SETTINGS), ("rails.yaml", RAILS)):
        (tmp_path / name).write_text(text)
    (tmp_path / "bin").mkdir()
    argv = [sys.executable, "-m", "stitcherd", "--config", str(tmp_path), "--check"]
    env = {**os.environ, "PATH": str(tmp_path / "bin")}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0  # both files are good
    assert done.stderr == (
        "rails.yaml:3:1: warning: sandbox bwrap cannot be used: there is no program bwrap (on Debian: apt-get install "
        "bubblewrap); until then jobs are denied that need profile weaver, gate tests\n"
    )


def test_each_cause_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stitcherd.sandbox.bubblewrap.available", lambda: None)
    monkeypatch.setattr("stitcherd.sandbox.bubblewrap.unbinding", lambda: {"processes": "nobody counts"})
    asked = [
        (9, "gate a", SandboxSpec(processes=9)),
        (3, "profile b", None),
        (5, "profile c", SandboxSpec(processes=1)),
        (1, "d", SandboxSpec()),
    ]
    assert [(it.line, it.message) for it in missing_sandbox_warnings(asked)] == [
        (5, "processes cannot be limited here: nobody counts; until then jobs are denied that need gate a, profile c")
    ]
    assert missing_sandbox_warnings([]) == []


@pytest.mark.parametrize(
    ("setting", "value", "hint"),
    [
        ("kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
        ("kernel/unprivileged_userns_clone", "1", None),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "AppArmor forbids it"),
        ("user/max_user_namespaces", "0", "user.max_user_namespaces"),
        ("user/max_user_namespaces", "9", None),
    ],
)
def test_a_setting_of_the_kernel_that_forbids_it_is_named(
    tmp_path: Path, setting: str, value: str, hint: str | None
) -> None:
    (tmp_path / setting).parent.mkdir()
    (tmp_path / setting).write_text(f"{value}\n")
    said = find_remedy("bwrap: No permissions to create new namespace", tmp_path)
    assert (said is None) if hint is None else (said is not None and hint in said)


@pytest.mark.skipif(
    bubblewrap.unavailable_reason() is not None, reason=f"NOT TESTED HERE: {bubblewrap.unavailable_reason()}"
)
@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        (["--no-such-option"], "0.8 or newer"),
        (["--unshare-user", "--proc", "/proc", "--disable-userns", "true"], "hidden"),
    ],
)
def test_what_bubblewrap_itself_says_is_understood(tmp_path: Path, argv: list[str], hint: str) -> None:
    around = ["bwrap", "--bind", "/", "/", "--ro-bind", "/proc/sys", "/proc/sys", "--unshare-user", "--"]
    inner = ["bwrap", "--ro-bind", "/", "/", "--unshare-pid", *argv]
    done = subprocess.run([*around, *inner], capture_output=True, text=True, check=False)
    assert done.returncode
    said = find_remedy(done.stderr, tmp_path)
    assert said is not None
    assert hint in said
