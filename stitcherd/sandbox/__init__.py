"""The sandbox: what stands before a command line so that bubblewrap runs it apart. What it holds: docs/security.md.

The command sees the system's programs read-only and, writable, one directory and its TMPDIR. All else is absent: the
user's home is empty, and processes, sockets and files of this house are not there to be asked for. It has no
terminal, since `processes` gives none, and dies with bubblewrap, which dies with the thread that started it.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from msgspec import Struct

from stitcherd.sandbox.remedies import remedy

SCRATCH = 512 * 2**20  # bytes of the empty home, /tmp, /var/tmp and /dev/shm each, where no limit says less

_APART = (
    *("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
    *("--disable-userns", "--cap-drop", "ALL", "--die-with-parent", "--hostname", "stitcher"),
)
# /proc too: for a daemon that is root, the settings of the kernel below it are a file like any other.
_READ_ONLY = ("--remount-ro", "/proc", "--remount-ro", "/dev", "--remount-ro", "/")
# What programs need of /etc; nothing of it is a secret. Debian's and Fedora's places.
_ETC = (
    *("passwd", "group", "nsswitch.conf", "hosts", "host.conf", "gai.conf", "resolv.conf", "services", "protocols"),
    *("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime", "timezone", "os-release", "mime.types"),
    *("debian_version", "ssl/certs", "ssl/openssl.cnf", "pki/tls/certs", "pki/ca-trust/extracted", "ca-certificates"),
    *("fonts", "java-17-openjdk", "java-21-openjdk", "python3", "python3.11", "python3.12", "python3.13"),
)
_CANNOT = "sandbox bwrap cannot be used"
_PROGRAMS = {"bwrap": "bubblewrap", "choom": "util-linux", "prlimit": "util-linux"}
_TREES = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


class Box(Struct, frozen=True, kw_only=True):
    """What a sandbox leaves to a command; sizes are in bytes, and None is no limit.

    The kernel holds each process to `memory`, each file to `disk`, and all of the command's to `processes`; `watching`
    sees that all processes together keep to `memory`, and all files to `disk`.
    """

    network: bool = True
    mounts: tuple[str, ...] = ()
    memory: int | None = None
    processes: int | None = None
    disk: int | None = None


def wrap(argv: Sequence[str], box: Box | None, *, cwd: Path, tmp: Path, home: str | None) -> list[str]:
    """Return the command line that runs `argv` in `box`, with `cwd` and `tmp` writable; unchanged without a box.

    `home` is what HOME says inside: it is there, writable and empty. A mount that is missing, or a program that is
    not to be seen inside, is said on stderr, with exit code 1.
    """
    if box is None:
        return list(argv)
    scratch = str(min(box.memory or SCRATCH, box.disk or SCRATCH, SCRATCH))
    # When the machine runs out of memory, the kernel is to take a command of ours, and not what else runs there.
    words = ["choom", "-n", "1000", "--", "bwrap", *_APART, *([] if box.network else ["--unshare-net"]), *_system()]
    for place in scratches(home):
        words += ["--size", scratch, "--tmpfs", place]
    for mount in box.mounts:
        path = os.path.expanduser(mount)  # noqa: PTH111 (Path.expanduser raises for ~stranger)
        words += ["--ro-bind", path, path]
    for place in (str(cwd), str(tmp)):
        words += ["--bind", place, place]
    words += [*_READ_ONLY, "--chdir", str(cwd), "--"]
    return [*words, *_limits(box), *argv]


def scratches(home: str | None) -> list[str]:
    """Return the places inside that are empty, writable and forgotten afterwards, for a home as in `wrap`."""
    return ["/tmp", "/var/tmp", "/dev/shm", *([home] if home and _is_free(Path(home)) else [])]  # noqa: S108 (not ours)


@cache
def available() -> str | None:
    """Return None where the sandbox works, and else a sentence that says why not; it is tried once, for real."""
    for program, package in _PROGRAMS.items():
        if shutil.which(program) is None:
            return f"{_CANNOT}: there is no program {program} (on Debian: apt-get install {package})"
    argv = wrap(["true"], Box(network=False), cwd=Path("/usr"), tmp=Path("/usr"), home=None)
    argv[argv.index("--bind")] = argv[argv.index("--bind")] = "--ro-bind"
    try:
        done = subprocess.run(argv, capture_output=True, timeout=10.0, check=False, env={"PATH": _path()})
    except (OSError, subprocess.TimeoutExpired) as fault:
        return f"{_CANNOT}: {fault}"
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip() or f"bwrap ended with exit code {done.returncode}"
        hint = remedy(said)
        return f"{_CANNOT} here: {said}" + (f" ({hint})" if hint else "")
    return None


@cache
def unbinding() -> dict[str, str]:
    """Return the limits of a box that bind nobody here, each with the reason."""
    if os.geteuid() == 0:
        return {"processes": "the kernel does not count root's processes: run stitcherd as a user of its own"}
    return {}


def _path() -> str:
    return os.environ.get("PATH", os.defpath)


def _system() -> list[str]:
    words = ["--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev"]
    for name in _TREES:
        tree = Path("/", name)
        if tree.is_symlink():
            words += ["--symlink", str(tree.readlink()), str(tree)]
        elif tree.is_dir():
            words += ["--ro-bind", str(tree), str(tree)]
    for name in _ETC:
        words += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    return words


def _is_free(home: Path) -> bool:
    """Say whether an empty directory may stand at a place without hiding what the sandbox needs there."""
    taken = {"usr", "etc", "proc", "dev", *_TREES}
    return home.is_absolute() and len(home.parts) > 1 and home.parts[1] not in taken


def _limits(box: Box) -> list[str]:
    # Of the address space only what is written to counts: what runtimes merely reserve would be over any limit.
    given = (("data", box.memory), ("nproc", box.processes), ("fsize", box.disk))
    words = [f"--{name}={limit}" for name, limit in given if limit is not None]
    return ["prlimit", *words, "--core=0", "--"] if words else []
