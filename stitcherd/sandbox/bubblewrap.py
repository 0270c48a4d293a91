"""Which directories a sandbox may not be shown, because somebody's secrets lie in them."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

from msgspec import Struct

from shared.api import RailsFault

# merged from stitcherd.sandbox.remedies: What to do where bubblewrap is there and does not work: read from
# what it says, and from the kernel's settings.
# merged from stitcherd.sandbox.lacking: What rails ask of the sandbox and this machine does not give: no
# fault of theirs, but jobs that will be denied.

KERNEL_SETTINGS = Path("/proc/sys")

# A setting of the kernel that keeps ordinary users from making namespaces, by the value that does it.
_FORBIDDING_SETTINGS = {
    ("kernel/unprivileged_userns_clone", "0"): "allow it: sysctl kernel.unprivileged_userns_clone=1",
    ("kernel/apparmor_restrict_unprivileged_userns", "1"): (
        "AppArmor forbids it: give bwrap a profile with `userns,`, or sysctl"
        " kernel.apparmor_restrict_unprivileged_userns=0"
    ),
    ("user/max_user_namespaces", "0"): "allow it: sysctl user.max_user_namespaces=10000",
}
_KNOWN_ERRORS = {
    "nknown option": "bubblewrap 0.8 or newer is needed",
    "mount proc": "parts of /proc are hidden, as in a container, or by ProtectKernelTunables= and its like in a unit",
}


def find_remedy(said: str, settings: Path = KERNEL_SETTINGS) -> str | None:
    """Return what would help against what bubblewrap said, if it is known."""
    for words, hint in _KNOWN_ERRORS.items():
        if words in said:
            return hint
    for (name, value), hint in _FORBIDDING_SETTINGS.items():
        file = settings / name
        if file.exists() and file.read_text().strip() == value:
            return hint
    return None


SCRATCH_MAX = 512 * 2**20  # bytes of the empty home, /tmp, /var/tmp and /dev/shm each, where no limit says less

_NAMESPACES = (
    *("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
    *("--disable-userns", "--cap-drop", "ALL", "--die-with-parent", "--hostname", "stitcher"),
)
# /proc too: for a daemon that is root, the settings of the kernel below it are a file like any other.
_READ_ONLY = ("--remount-ro", "/proc", "--remount-ro", "/dev", "--remount-ro", "/")
# What programs need of /etc; nothing of it is a secret. Debian's and Fedora's places.
_ETC_FILES = (
    *("passwd", "group", "nsswitch.conf", "hosts", "host.conf", "gai.conf", "resolv.conf", "services", "protocols"),
    *("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime", "timezone", "os-release", "mime.types"),
    *("debian_version", "ssl/certs", "ssl/openssl.cnf", "pki/tls/certs", "pki/ca-trust/extracted", "ca-certificates"),
    *("fonts", "java-17-openjdk", "java-21-openjdk", "python3", "python3.11", "python3.12", "python3.13"),
)
_UNAVAILABLE = "sandbox bwrap cannot be used"
_REQUIRED_PROGRAMS = {"bwrap": "bubblewrap", "choom": "util-linux", "prlimit": "util-linux"}
_SYSTEM_DIRECTORIES = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


class SandboxSpec(Struct, frozen=True, kw_only=True):
    """What a sandbox leaves to a command; sizes are in bytes, and None is no limit.

    The kernel holds each process to `memory`, each file to `disk`, and all of the command's to `processes`; `watching`
    sees that all processes together keep to `memory`, and all files to `disk`.
    """

    network: bool = True
    mounts: tuple[str, ...] = ()
    memory: int | None = None
    processes: int | None = None
    disk: int | None = None


def wrap_command(argv: Sequence[str], box: SandboxSpec | None, *, cwd: Path, tmp: Path, home: str | None) -> list[str]:
    """Return the command line that runs `argv` in `box`, with `cwd` and `tmp` writable; unchanged without a box.

    `home` is what HOME says inside: it is there, writable and empty. A mount that is missing, or a program that is
    not to be seen inside, is said on stderr, with exit code 1.
    """
    if box is None:
        return list(argv)
    scratch = str(min(box.memory or SCRATCH_MAX, box.disk or SCRATCH_MAX, SCRATCH_MAX))
    # When the machine runs out of memory, the kernel is to take a command of ours, and not what else runs there.
    words = [
        "choom",
        "-n",
        "1000",
        "--",
        "bwrap",
        *_NAMESPACES,
        *([] if box.network else ["--unshare-net"]),
        *_system_mounts(),
    ]
    for place in scratch_directories(home):
        words += ["--size", scratch, "--tmpfs", place]
    for mount in box.mounts:
        path = os.path.expanduser(mount)  # noqa: PTH111 (Path.expanduser raises for ~stranger)
        words += ["--ro-bind", path, path]
    for place in (str(cwd), str(tmp)):
        words += ["--bind", place, place]
    words += [*_READ_ONLY, "--chdir", str(cwd), "--"]
    return [*words, *_limit_options(box), *argv]


def scratch_directories(home: str | None) -> list[str]:
    """Return the places inside that are empty, writable and forgotten afterwards, for a home as in `wrap`."""
    return ["/tmp", "/var/tmp", "/dev/shm", *([home] if home and _is_mountable(Path(home)) else [])]  # noqa: S108 (not ours)


@cache
def unavailable_reason() -> str | None:
    """Return None where the sandbox works, and else a sentence that says why not; it is tried once, for real."""
    for program, package in _REQUIRED_PROGRAMS.items():
        if shutil.which(program) is None:
            return f"{_UNAVAILABLE}: there is no program {program} (on Debian: apt-get install {package})"
    argv = wrap_command(["true"], SandboxSpec(network=False), cwd=Path("/usr"), tmp=Path("/usr"), home=None)
    argv[argv.index("--bind")] = argv[argv.index("--bind")] = "--ro-bind"
    try:
        done = subprocess.run(argv, capture_output=True, timeout=10.0, check=False, env={"PATH": _search_path()})
    except (OSError, subprocess.TimeoutExpired) as fault:
        return f"{_UNAVAILABLE}: {fault}"
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip() or f"bwrap ended with exit code {done.returncode}"
        hint = find_remedy(said)
        return f"{_UNAVAILABLE} here: {said}" + (f" ({hint})" if hint else "")
    return None


@cache
def unenforceable_limits() -> dict[str, str]:
    """Return the limits of a box that bind nobody here, each with the reason."""
    if os.geteuid() == 0:
        return {"processes": "the kernel does not count root's processes: run stitcherd as a user of its own"}
    return {}


def _search_path() -> str:
    return os.environ.get("PATH", os.defpath)


def _system_mounts() -> list[str]:
    words = ["--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev"]
    for name in _SYSTEM_DIRECTORIES:
        tree = Path("/", name)
        if tree.is_symlink():
            words += ["--symlink", str(tree.readlink()), str(tree)]
        elif tree.is_dir():
            words += ["--ro-bind", str(tree), str(tree)]
    for name in _ETC_FILES:
        words += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    return words


def _is_mountable(home: Path) -> bool:
    """Say whether an empty directory may stand at a place without hiding what the sandbox needs there."""
    taken = {"usr", "etc", "proc", "dev", *_SYSTEM_DIRECTORIES}
    return home.is_absolute() and len(home.parts) > 1 and home.parts[1] not in taken


def _limit_options(box: SandboxSpec) -> list[str]:
    # Of the address space only what is written to counts: what runtimes merely reserve would be over any limit.
    given = (("data", box.memory), ("nproc", box.processes), ("fsize", box.disk))
    words = [f"--{name}={limit}" for name, limit in given if limit is not None]
    return ["prlimit", *words, "--core=0", "--"] if words else []


def missing_sandbox_warnings(asked: Iterable[tuple[int, str, SandboxSpec | None]]) -> list[RailsFault]:
    """Return a warning for each cause, at the first line that asks; `asked` are lines, who asks there, and for what."""
    found: dict[str, list[tuple[int, str]]] = {}
    for line, who, box in asked:
        for cause in _missing_causes(box) if box else ():
            found.setdefault(cause, []).append((line, who))
    return [
        RailsFault(min(them)[0], 1, _missing_warning(cause, [who for _, who in them])) for cause, them in found.items()
    ]


def _missing_causes(box: SandboxSpec) -> Iterator[str]:
    if (cause := unavailable_reason()) is not None:
        yield cause
    for limit, why in unenforceable_limits().items():
        if getattr(box, limit) is not None:
            yield f"{limit} cannot be limited here: {why}"


def _missing_warning(cause: str, who: list[str]) -> str:
    return f"{cause}; until then jobs are denied that need {', '.join(dict.fromkeys(who))}"


_SECRETS_IN_HOME = (
    *(".ssh", ".gnupg", ".aws", ".azure", ".config/gcloud", ".config/gh", ".docker", ".kube", ".netrc", ".npmrc"),
    *(".git-credentials", ".config/git/credentials", ".pypirc", ".password-store", ".local/share/keyrings"),
    *(".mozilla", ".config/chromium", ".config/google-chrome", ".bash_history"),
)
_SECRETS_IN_SYSTEM = ("/dev", "/etc/shadow", "/etc/ssh", "/etc/ssl/private", "/proc", "/run", "/sys", "/var/lib/docker")


def find_exposed_path(mount: str, private: Iterable[Path]) -> Path | None:
    """Return what a mount would show that it must not, or None: one of `private`, or a usual place of secrets.

    A mount that is below such a place, or above it, shows it; links are followed. The user's home is above some.
    """
    home = Path.home()
    guarded = [*private, *(home / name for name in _SECRETS_IN_HOME), *map(Path, _SECRETS_IN_SYSTEM)]
    asked = Path(os.path.expanduser(mount))  # noqa: PTH111 (Path.expanduser raises for ~stranger)
    for place in guarded:
        for one, other in ((asked, place), (asked.resolve(), place.resolve())):
            if one.is_relative_to(other) or other.is_relative_to(one):
                return place
    return None
