"""Runs a command in a bubblewrap sandbox, and tells whether this machine can; docs/security.md says what it contains.

The command sees the programs of the system read-only, and can write to one directory and its TMPDIR. Nothing else is
there: the home directory is empty, and processes, sockets and files of the daemon are absent. The command has no
terminal, since `processes` gives it none, and ends with bubblewrap, which ends with the thread that started it.
"""

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from msgspec import Struct

from shared.api import RailsFault
from shared.locations import NoHomeDirectory, expand_home
from shared.program_mounts import SYSTEM_DIRECTORIES, SYSTEM_LINKS
from stitcherd.sandbox import seccomp

KERNEL_SETTINGS = Path("/proc/sys")
SCRATCH_MAX = 512 * 2**20  # bytes for each of the empty home, /tmp, /var/tmp and /dev/shm, unless a limit is lower

_NAMESPACES = (
    *("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
    *("--disable-userns", "--cap-drop", "ALL", "--die-with-parent", "--hostname", "stitcher"),
)
# /proc too: if the daemon runs as root, the kernel settings below it would be writable.
_READ_ONLY = ("--remount-ro", "/proc", "--remount-ro", "/dev", "--remount-ro", "/")
# What programs need of /etc, in Debian's and Fedora's locations; none of it is secret.
_ETC_FILES = (
    *("passwd", "group", "nsswitch.conf", "hosts", "host.conf", "gai.conf", "resolv.conf", "services", "protocols"),
    *("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime", "timezone", "os-release", "mime.types"),
    *("debian_version", "ssl/certs", "ssl/openssl.cnf", "pki/tls/certs", "pki/ca-trust/extracted", "ca-certificates"),
    *("fonts", "java-17-openjdk", "java-21-openjdk", "python3", "python3.11", "python3.12", "python3.13"),
)
_SECRETS_IN_HOME = (
    *(".ssh", ".gnupg", ".aws", ".azure", ".config/gcloud", ".config/gh", ".docker", ".kube", ".netrc", ".npmrc"),
    *(".git-credentials", ".config/git/credentials", ".pypirc", ".password-store", ".local/share/keyrings"),
    *(".mozilla", ".config/chromium", ".config/google-chrome", ".bash_history"),
)
_SECRETS_IN_SYSTEM = ("/dev", "/etc/shadow", "/etc/ssh", "/etc/ssl/private", "/proc", "/run", "/sys", "/var/lib/docker")

_UNAVAILABLE = "sandbox bwrap cannot be used"
_REQUIRED_PROGRAMS = {"bwrap": "bubblewrap", "choom": "util-linux", "prlimit": "util-linux"}
# Kernel settings that keep users from creating namespaces, with the value that does so, and the remedy.
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


class SandboxSpec(Struct, frozen=True, kw_only=True):
    """What a sandbox allows a command; sizes are in bytes, and None is no limit.

    The kernel limits each process to `memory`, each file to `disk`, and the number of processes to `processes`;
    `sandbox.limits` limits all processes together to `memory`, and all files together to `disk`.
    """

    network: bool = True
    mounts: tuple[str, ...] = ()
    memory: int | None = None
    processes: int | None = None
    disk: int | None = None


class WrappedCommand(Struct, frozen=True):
    """A command line, and the file descriptors that its first program must inherit."""

    argv: list[str]
    pass_fds: tuple[int, ...] = ()


@contextmanager
def wrap_command(
    argv: Sequence[str],
    sandbox: SandboxSpec | None,
    *,
    cwd: Path,
    tmp: Path,
    home: str | None,
    kept_home: Path | None = None,
) -> Iterator[WrappedCommand]:
    """Yield the command that runs `argv` in a sandbox with `cwd` and `tmp` writable, once; `argv` without a sandbox.

    `home` is the value of HOME inside: a writable directory, which is `kept_home`, or else a new, empty one. If a mount
    or the program is missing inside, bubblewrap reports it on stderr, with exit code 1.
    """
    if sandbox is None:
        yield WrappedCommand(list(argv))
        return
    scratch = str(min(sandbox.memory or SCRATCH_MAX, sandbox.disk or SCRATCH_MAX, SCRATCH_MAX))
    words = ["choom", "-n", "1000", "--"]  # if the machine runs out of memory, the kernel shall kill this command first
    words += ["bwrap", *_NAMESPACES, *([] if sandbox.network else ["--unshare-net"]), *_system_mounts()]
    for directory in scratch_directories(home if kept_home is None else None):
        words += ["--size", scratch, "--tmpfs", directory]
    if kept_home is not None and home and _is_mountable(Path(home)):
        words += ["--bind", str(kept_home), home]
    for mount in sandbox.mounts:
        path = expand_home(mount)
        words += ["--ro-bind", path, path]
    for directory in (str(cwd), str(tmp)):
        words += ["--bind", directory, directory]
    words += [*_READ_ONLY, "--chdir", str(cwd)]
    with seccomp.open_filter() as program:
        words += ["--seccomp", str(program), "--", *_limit_options(sandbox), *argv]
        yield WrappedCommand(words, (program,))


def scratch_directories(home: str | None) -> list[str]:
    """Return the directories inside that are empty, writable and discarded afterwards; `home` as in `wrap_command`."""
    return ["/tmp", "/var/tmp", "/dev/shm", *([home] if home and _is_mountable(Path(home)) else [])]  # noqa: S108 (not ours)


def visible_directories(sandbox: SandboxSpec) -> list[Path]:
    """Return the directories that a command sees besides its own, and that are not empty there."""
    system = map(Path, SYSTEM_DIRECTORIES)
    return [*(path for path in system if path.is_dir()), *(Path(expand_home(mount)) for mount in sandbox.mounts)]


@cache
def unavailable_reason() -> str | None:
    """Return why sandboxes do not work on this machine, or None; determined once, by starting one."""
    for program, package in _REQUIRED_PROGRAMS.items():
        if shutil.which(program) is None:
            return f"{_UNAVAILABLE}: there is no program {program} (on Debian: apt-get install {package})"
    if (reason := seccomp.unavailable_reason()) is not None:
        return f"{_UNAVAILABLE}: {reason}"
    root = Path("/usr")
    env = {"PATH": os.environ.get("PATH", os.defpath)}
    with wrap_command(["true"], SandboxSpec(network=False), cwd=root, tmp=root, home=None) as command:
        argv = ["--ro-bind" if word == "--bind" else word for word in command.argv]
        try:
            done = subprocess.run(
                argv, capture_output=True, timeout=10.0, check=False, env=env, pass_fds=command.pass_fds
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{_UNAVAILABLE}: {error}"
    if done.returncode:
        output = done.stderr.decode(errors="replace").strip() or f"bwrap ended with exit code {done.returncode}"
        remedy = find_remedy(output)
        return f"{_UNAVAILABLE} here: {output}" + (f" ({remedy})" if remedy else "")
    return None


@cache
def unenforceable_limits() -> dict[str, str]:
    """Return the limits of a SandboxSpec that cannot be enforced on this machine, each with the reason."""
    if os.geteuid() == 0:
        return {"processes": "the kernel does not count root's processes: run stitcherd as a user of its own"}
    return {}


def find_remedy(output: str, settings: Path = KERNEL_SETTINGS) -> str | None:
    """Return a known remedy for what bubblewrap printed, considering the kernel's settings."""
    for words, remedy in _KNOWN_ERRORS.items():
        if words in output:
            return remedy
    for (name, value), remedy in _FORBIDDING_SETTINGS.items():
        file = settings / name
        if file.exists() and file.read_text().strip() == value:
            return remedy
    return None


def missing_sandbox_warnings(requested: Iterable[tuple[int, str, SandboxSpec | None]]) -> list[RailsFault]:
    """Return a warning for each reason why requested sandboxes do not work on this machine.

    `requested` has the line of rails.yaml, who requests a sandbox there, and the sandbox. A warning is placed at the
    first line that it concerns.
    """
    found: dict[str, list[tuple[int, str]]] = {}
    for line, who, sandbox in requested:
        for reason in _missing_reasons(sandbox) if sandbox else ():
            found.setdefault(reason, []).append((line, who))
    warnings = []
    for reason, places in found.items():
        names = ", ".join(dict.fromkeys(who for _, who in places))
        warnings.append(RailsFault(min(places)[0], 1, f"{reason}; until then jobs are denied that need {names}"))
    return warnings


def find_exposed_path(mount: str, private: Iterable[Path]) -> Path | None:
    """Return a path that a mount must not expose but would: one of `private`, or a usual place of secrets; or None.

    A mount exposes such a path if it is the same, below it or above it; links are followed. Raises NoHomeDirectory.
    """
    guarded = [*private, *map(Path, _SECRETS_IN_SYSTEM)]
    with suppress(NoHomeDirectory):
        guarded += [Path(expand_home("~"), name) for name in _SECRETS_IN_HOME]
    mounted = Path(expand_home(mount))
    for path in guarded:
        for one, other in ((mounted, path), (mounted.resolve(), path.resolve())):
            if one.is_relative_to(other) or other.is_relative_to(one):
                return path
    return None


def _missing_reasons(sandbox: SandboxSpec) -> Iterator[str]:
    if (unavailable := unavailable_reason()) is not None:
        yield unavailable
    for limit, reason in unenforceable_limits().items():
        if getattr(sandbox, limit) is not None:
            yield f"{limit} cannot be limited here: {reason}"


def _system_mounts() -> list[str]:
    words = ["--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev"]
    for tree in map(Path, SYSTEM_LINKS):
        if tree.is_symlink():
            words += ["--symlink", str(tree.readlink()), str(tree)]
        elif tree.is_dir():
            words += ["--ro-bind", str(tree), str(tree)]
    for name in _ETC_FILES:
        words += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    return words


def _is_mountable(home: Path) -> bool:
    """Return whether an empty directory can be mounted here without hiding what the sandbox needs."""
    taken = {"/etc", "/proc", "/dev", *SYSTEM_DIRECTORIES}
    return home.is_absolute() and len(home.parts) > 1 and f"/{home.parts[1]}" not in taken


def _limit_options(sandbox: SandboxSpec) -> list[str]:
    # RLIMIT_DATA, not RLIMIT_AS: runtimes reserve far more address space than they use.
    limits = (("data", sandbox.memory), ("nproc", sandbox.processes), ("fsize", sandbox.disk))
    words = [f"--{name}={limit}" for name, limit in limits if limit is not None]
    return ["prlimit", *words, "--core=0", "--"] if words else []
