"""Tests the sandbox's command line, whether it works on this machine, and what may be mounted into it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.locations import NoHomeDirectory
from stitcherd.sandbox import bubblewrap
from stitcherd.sandbox.bubblewrap import (
    SandboxSpec,
    find_exposed_path,
    find_remedy,
    missing_sandbox_warnings,
    wrap_command,
)
from tests.stitcherd.sandbox.sandbox_host import needs_sandbox

ATTEMPT = Path("/srv/stitcher/checkouts/job/1")


def wrapped(sandbox: SandboxSpec | None, home: str | None = "/home/ann") -> list[str]:
    with wrap_command(["make", "test"], sandbox, cwd=ATTEMPT / "work", tmp=ATTEMPT / "tmp", home=home) as command:
        return command.argv


def test_without_a_sandbox_nothing_is_wrapped() -> None:
    assert wrapped(None) == ["make", "test"]


def test_only_the_two_given_directories_are_writable() -> None:
    words = wrapped(SandboxSpec(mounts=("/opt/tools",)))
    assert [words[at + 1] for at, word in enumerate(words) if word == "--bind"] == [f"{ATTEMPT}/work", f"{ATTEMPT}/tmp"]
    assert words[-3:] == ["--", "make", "test"]
    at = words.index("/opt/tools")
    assert words[at - 1 : at + 2] == ["--ro-bind", "/opt/tools", "/opt/tools"]
    assert words.index("/home/ann") < at < words.index(f"{ATTEMPT}/work") < words.index("--remount-ro")


def test_a_kept_home_is_shown_in_place_of_an_empty_one() -> None:
    home = ATTEMPT / "agent"
    with wrap_command(
        ["true"], SandboxSpec(), cwd=ATTEMPT / "work", tmp=ATTEMPT / "tmp", home="/home/ann", kept_home=home
    ) as command:
        words = command.argv
    at = words.index(str(home))
    assert words[at - 1 : at + 2] == ["--bind", str(home), "/home/ann"]
    assert words.count("/home/ann") == 1
    assert words[words.index("/tmp") - 1] == "--tmpfs"


def test_the_network_is_shared_unless_it_is_disabled() -> None:
    assert "--unshare-net" not in wrapped(SandboxSpec())
    assert "--unshare-net" in wrapped(SandboxSpec(network=False))


@pytest.mark.parametrize(
    ("sandbox", "words"),
    [
        (SandboxSpec(), ["--", "make", "test"]),
        (SandboxSpec(memory=9), ["--", "prlimit", "--data=9", "--core=0", "--", "make", "test"]),
        (
            SandboxSpec(memory=9, processes=8, disk=7),
            ["--", "prlimit", "--data=9", "--nproc=8", "--fsize=7", "--core=0", "--", "make", "test"],
        ),
    ],
)
def test_limits_are_set_inside_the_sandbox(sandbox: SandboxSpec, words: list[str]) -> None:
    assert wrapped(sandbox)[-len(words) :] == words


@pytest.mark.parametrize(
    ("sandbox", "size"),
    [
        (SandboxSpec(), bubblewrap.SCRATCH_MAX),
        (SandboxSpec(memory=9), 9),
        (SandboxSpec(memory=9, disk=7), 7),
        (SandboxSpec(disk=2**40), None),
    ],
)
def test_the_size_of_scratch_directories_is_limited_too(sandbox: SandboxSpec, size: int | None) -> None:
    words = wrapped(sandbox)
    sizes = {words[at + 1] for at, word in enumerate(words) if word == "--size"}
    assert sizes == {str(size or bubblewrap.SCRATCH_MAX)}


@pytest.mark.parametrize(
    ("home", "there"),
    [("/home/ann", True), ("/root", True), ("/nonexistent", True), ("/", False), ("/usr/games", False), ("ann", False)],
)
def test_the_home_is_empty_unless_it_would_hide_the_system(home: str, there: bool) -> None:
    words = wrapped(SandboxSpec(), home)
    empty = [words[at + 1] for at, word in enumerate(words) if word == "--tmpfs"]
    assert (home in empty) is there
    assert wrapped(SandboxSpec(), None).count("--tmpfs") == empty.count("/tmp") + 2


PRIVATE = [Path("/srv/stitcher"), Path("/etc/stitcher/secret")]


@pytest.mark.parametrize(
    "mount",
    [
        *("/", "/srv", "/srv/stitcher", "/srv/stitcher/mirrors", "/etc", "/etc/stitcher", "/etc/stitcher/secret"),
        *("~", "~/.ssh", "~/.ssh/id", "~/.config", "~/.config/gh", "~/.aws", "/opt/..", "/opt/../srv/stitcher"),
        *("/proc", "/proc/1", "/sys", "/dev", "/dev/kvm", "/run", "/run/docker.sock", "/var/run/docker.sock", "/var"),
    ],
)
def test_a_mount_that_exposes_secrets_is_found(mount: str) -> None:
    assert find_exposed_path(mount, PRIVATE) is not None


@pytest.mark.parametrize(
    "mount",
    ["/opt", "/opt/tools", "/srv/stitchers", "~/.local/bin", "~/.config/tool", "~/.sshx", "/usr/local", "/etc/ssl"],
)
def test_a_mount_that_exposes_none_is_not(mount: str) -> None:
    assert find_exposed_path(mount, PRIVATE) == (Path("/etc/ssl/private") if mount == "/etc/ssl" else None)


def test_mounts_without_a_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("os.getuid", lambda: 54321)
    assert find_exposed_path("/opt", PRIVATE) is None
    assert find_exposed_path("/etc/stitcher", PRIVATE) is not None
    with pytest.raises(NoHomeDirectory):
        find_exposed_path("~/tools", PRIVATE)


def test_a_link_to_a_private_directory_is_followed(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir()
    (tmp_path / "link").symlink_to(private)
    assert find_exposed_path(str(tmp_path / "link"), [private]) == private
    assert find_exposed_path(str(private), [tmp_path / "link"]) == tmp_path / "link"
    assert find_exposed_path(str(tmp_path / "other"), [private]) is None


def reason_with(path: str) -> str:
    """Determine the reason in a process of its own, since it is cached."""
    code = "from stitcherd.sandbox.bubblewrap import unavailable_reason; print(unavailable_reason())"
    env = {**os.environ, "PATH": path}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_without_bubblewrap_the_reason_names_the_package(tmp_path: Path) -> None:
    assert reason_with(str(tmp_path)) == (
        "sandbox bwrap cannot be used: there is no program bwrap (on Debian: apt-get install bubblewrap)"
    )


def test_the_error_of_bubblewrap_is_quoted(tmp_path: Path) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    assert reason_with(f"{tmp_path}:{os.environ['PATH']}") == (
        "sandbox bwrap cannot be used here: bwrap: No permissions to create new namespace"
    )


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


def test_check_warns_of_sandboxes_that_do_not_work_here(tmp_path: Path) -> None:
    for name, text in (("stitcherd.toml", SETTINGS), ("rails.yaml", RAILS)):
        (tmp_path / name).write_text(text)
    (tmp_path / "bin").mkdir()
    argv = [sys.executable, "-m", "stitcherd", "--config", str(tmp_path), "--check"]
    env = {**os.environ, "PATH": str(tmp_path / "bin")}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0  # both files are good
    assert done.stderr.startswith(
        "rails.yaml:3:1: warning: sandbox bwrap cannot be used: there is no program bwrap (on Debian: apt-get install "
        "bubblewrap); until then jobs are denied that need profile weaver, gate tests\n"
    )


def test_each_reason_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stitcherd.sandbox.bubblewrap.unavailable_reason", lambda: None)
    monkeypatch.setattr("stitcherd.sandbox.bubblewrap.unenforceable_limits", lambda: {"processes": "nobody counts"})
    requested = [
        (9, "gate a", SandboxSpec(processes=9)),
        (3, "profile b", None),
        (5, "profile c", SandboxSpec(processes=1)),
        (1, "d", SandboxSpec()),
    ]
    assert [(it.line, it.message) for it in missing_sandbox_warnings(requested)] == [
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
def test_a_kernel_setting_that_forbids_it_is_named(tmp_path: Path, setting: str, value: str, hint: str | None) -> None:
    (tmp_path / setting).parent.mkdir()
    (tmp_path / setting).write_text(f"{value}\n")
    remedy = find_remedy("bwrap: No permissions to create new namespace", tmp_path)
    assert (remedy is None) if hint is None else (remedy is not None and hint in remedy)


@needs_sandbox
@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        (["--no-such-option"], "0.8 or newer"),
        (["--unshare-user", "--proc", "/proc", "--disable-userns", "true"], "hidden"),
    ],
)
def test_the_errors_of_bubblewrap_itself_are_recognized(tmp_path: Path, argv: list[str], hint: str) -> None:
    outer = ["bwrap", "--bind", "/", "/", "--ro-bind", "/proc/sys", "/proc/sys", "--unshare-user", "--"]
    inner = ["bwrap", "--ro-bind", "/", "/", "--unshare-pid", *argv]
    done = subprocess.run([*outer, *inner], capture_output=True, text=True, check=False)
    assert done.returncode
    remedy = find_remedy(done.stderr, tmp_path)
    assert remedy is not None
    assert hint in remedy
