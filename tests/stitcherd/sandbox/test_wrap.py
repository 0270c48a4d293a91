"""The sandbox's command line, whether it works here, and what may be mounted into it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stitcherd.sandbox import bubblewrap
from stitcherd.sandbox.bubblewrap import SandboxSpec, find_exposed_path, wrap_command

HERE = Path("/srv/house/checkouts/job/1")


def wrapped(box: SandboxSpec | None, home: str | None = "/home/ann") -> list[str]:
    return wrap_command(["make", "test"], box, cwd=HERE / "work", tmp=HERE / "tmp", home=home)


def test_without_a_box_nothing_is_wrapped() -> None:
    assert wrapped(None) == ["make", "test"]


def test_only_the_two_given_places_are_writable() -> None:
    words = wrapped(SandboxSpec(mounts=("/opt/tools",)))
    assert [words[at + 1] for at, word in enumerate(words) if word == "--bind"] == [f"{HERE}/work", f"{HERE}/tmp"]
    assert words[-3:] == ["--", "make", "test"]
    at = words.index("/opt/tools")
    assert words[at - 1 : at + 2] == ["--ro-bind", "/opt/tools", "/opt/tools"]
    assert words.index("/home/ann") < at < words.index(f"{HERE}/work") < words.index("--remount-ro")


def test_the_network_is_there_unless_it_is_taken() -> None:
    assert "--unshare-net" not in wrapped(SandboxSpec())
    assert "--unshare-net" in wrapped(SandboxSpec(network=False))


@pytest.mark.parametrize(
    ("box", "words"),
    [
        (SandboxSpec(), ["--", "make", "test"]),
        (SandboxSpec(memory=9), ["--", "prlimit", "--data=9", "--core=0", "--", "make", "test"]),
        (
            SandboxSpec(memory=9, processes=8, disk=7),
            ["--", "prlimit", "--data=9", "--nproc=8", "--fsize=7", "--core=0", "--", "make", "test"],
        ),
    ],
)
def test_limits_stand_inside(box: SandboxSpec, words: list[str]) -> None:
    assert wrapped(box)[-len(words) :] == words


@pytest.mark.parametrize(
    ("box", "size"),
    [
        (SandboxSpec(), bubblewrap.SCRATCH_MAX),
        (SandboxSpec(memory=9), 9),
        (SandboxSpec(memory=9, disk=7), 7),
        (SandboxSpec(disk=2**40), None),
    ],
)
def test_scratch_is_limited_with_the_rest(box: SandboxSpec, size: int | None) -> None:
    words = wrapped(box)
    sizes = {words[at + 1] for at, word in enumerate(words) if word == "--size"}
    assert sizes == {str(size or bubblewrap.SCRATCH_MAX)}


@pytest.mark.parametrize(
    ("home", "there"),
    [("/home/ann", True), ("/root", True), ("/nonexistent", True), ("/", False), ("/usr/games", False), ("ann", False)],
)
def test_the_home_is_empty_and_hides_nothing_of_the_system(home: str, there: bool) -> None:
    words = wrapped(SandboxSpec(), home)
    empty = [words[at + 1] for at, word in enumerate(words) if word == "--tmpfs"]
    assert (home in empty) is there
    assert wrapped(SandboxSpec(), None).count("--tmpfs") == empty.count("/tmp") + 2


PRIVATE = [Path("/srv/house"), Path("/etc/stitcher/secret")]


@pytest.mark.parametrize(
    "mount",
    [
        *("/", "/srv", "/srv/house", "/srv/house/mirrors", "/etc", "/etc/stitcher", "/etc/stitcher/secret"),
        *("~", "~/.ssh", "~/.ssh/id", "~/.config", "~/.config/gh", "~/.aws", "/opt/..", "/opt/../srv/house"),
        *("/proc", "/proc/1", "/sys", "/dev", "/dev/kvm", "/run", "/run/docker.sock", "/var/run/docker.sock", "/var"),
    ],
)
def test_a_mount_that_shows_secrets_is_told(mount: str) -> None:
    assert find_exposed_path(mount, PRIVATE) is not None


@pytest.mark.parametrize(
    "mount",
    ["/opt", "/opt/tools", "/srv/houses", "~/.local/bin", "~/.config/tool", "~/.sshx", "/usr/local", "/etc/ssl"],
)
def test_a_mount_that_shows_none_is_not(mount: str) -> None:
    assert find_exposed_path(mount, PRIVATE) == (Path("/etc/ssl/private") if mount == "/etc/ssl" else None)


def test_a_link_to_a_secret_place_is_followed(tmp_path: Path) -> None:
    house = tmp_path / "house"
    house.mkdir()
    (tmp_path / "link").symlink_to(house)
    assert find_exposed_path(str(tmp_path / "link"), [house]) == house
    assert find_exposed_path(str(house), [tmp_path / "link"]) == tmp_path / "link"
    assert find_exposed_path(str(tmp_path / "other"), [house]) is None


def ask(path: str) -> str:
    """Ask in a process of its own, since the answer is kept."""
    code = "from stitcherd import sandbox; print(sandbox.available())"
    env = {**os.environ, "PATH": path}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_without_bubblewrap_it_is_said_how_to_get_it(tmp_path: Path) -> None:
    assert ask(str(tmp_path)) == (
        "sandbox bwrap cannot be used: there is no program bwrap (on Debian: apt-get install bubblewrap)"
    )


def test_a_bubblewrap_that_may_not_is_quoted(tmp_path: Path) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    assert ask(f"{tmp_path}:{os.environ['PATH']}") == (
        "sandbox bwrap cannot be used here: bwrap: No permissions to create new namespace"
    )
