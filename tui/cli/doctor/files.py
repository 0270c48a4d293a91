"""The two files of the configuration, who may write them, and the secrets that they name."""

import os
import shlex
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import tui
from shared.locations import RAILS_FILE, SETTINGS_FILE
from tui.cli.doctor.result import CheckResult, info, ok, problem, warning
from tui.cli.doctor.settings import SecretSource, SettingsSummary
from tui.text.jobs import counted
from tui.text.plain import plain

_CHECK_TIMEOUT = 30.0  # seconds for `stitcherd --check`, of which half a second is usual
_SECRETS = "secrets"
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def check_config_directory(config: Path) -> Iterator[CheckResult]:
    """Look at the directory that holds both files."""
    name, shown = "configuration", plain(str(config))
    if not config.is_dir():
        yield problem(name, f"there is no directory {shown}", "begin with: stitcher init")
        return
    yield _written_by_others(name, config) or ok(name, shown)


def check_files(config: Path, written: SettingsSummary) -> Iterator[CheckResult]:
    """Look at both files as `stitcherd --check` does; a variable that is not set here is given some value for that."""
    if not config.is_dir():
        return  # that is said already
    missing = {secret.env: "unset" for secret in written.secrets if secret.env and not os.environ.get(secret.env)}
    argv = [sys.executable, "-m", "stitcherd", "--check", "--config", str(config)]
    # Where `tui` was found `stitcherd` stands beside it, installed or not.
    beside = Path(tui.__file__).parents[1]
    try:
        done = subprocess.run(
            argv,
            cwd=beside,
            env={**os.environ, **missing},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_CHECK_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        yield problem(SETTINGS_FILE, f"stitcherd --check gave no answer within {_CHECK_TIMEOUT:g} s", "run it by hand")
        return
    said = [plain(line) for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    of_rails = [line for line in said if line.startswith(f"{RAILS_FILE}:")]
    of_settings = [line for line in said if line.startswith(f"{SETTINGS_FILE}:")]
    failed = done.returncode != 0
    if failed and not of_rails and not of_settings:
        yield problem("stitcherd --check", said[-1] if said else f"ended with {done.returncode}", "run it by hand")
        return
    for line in said:
        if line not in of_rails and line not in of_settings:
            yield warning("stitcherd --check", line, "see whether that is meant")
    yield from _file(config / SETTINGS_FILE, of_settings, failed=failed and not of_rails)
    if failed and not of_rails:
        yield info(RAILS_FILE, f"not looked at before {SETTINGS_FILE} is good")
    else:
        yield from _file(config / RAILS_FILE, of_rails, failed=failed)


def _file(path: Path, said: list[str], *, failed: bool) -> Iterator[CheckResult]:
    for line in said:
        if failed:
            yield problem(path.name, line, f"mend {plain(str(path))}; it is checked by: stitcherd --check")
        else:
            yield warning(path.name, line, "see whether that is meant")
    if not path.exists():
        if not said:
            yield warning(path.name, "not there: nobody may send, nothing can execute", "begin with: stitcher init")
    elif loose := _written_by_others(path.name, path):
        yield loose
    elif not said:
        yield ok(path.name, "good")


def check_secrets(written: SettingsSummary, *, daemon_runs: bool) -> Iterator[CheckResult]:
    """Look whether each secret is there, and who may read it; never at what it is."""
    found = [_secret(secret, daemon_runs=daemon_runs) for secret in dict.fromkeys(written.secrets)]
    amiss = [finding for finding in found if finding is not None]
    yield from amiss
    if written.secrets and not amiss:
        yield ok(_SECRETS, f"{counted(len(found), 'secret')} set, none open to others")


def _secret(secret: SecretSource, *, daemon_runs: bool) -> CheckResult | None:
    if secret.file is not None:
        return _in_file(f"{plain(secret.place)}: {plain(str(secret.file))}", secret.file)
    if os.environ.get(secret.env or ""):
        return None
    detail = f"{plain(secret.place)}: {plain(secret.env or '')} is not set where the doctor runs"
    if daemon_runs:
        return warning(_SECRETS, detail, "the daemon that runs has read it; set it wherever stitcherd is started next")
    return problem(_SECRETS, detail, "set it in the environment that stitcherd is started in")


def _in_file(shown: str, file: Path) -> CheckResult | None:
    try:
        mode = file.stat().st_mode
    except OSError as error:
        return problem(_SECRETS, f"{shown}: {error.strerror}", "put the secret there, readable for you alone")
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        return warning(_SECRETS, f"{shown} is open to every user of this machine", f"chmod 600 {_quoted(file)}")
    if not os.access(file, os.R_OK):
        return problem(_SECRETS, f"{shown} is closed to you", f"chown {os.getuid()} {_quoted(file)}")
    return None


def _written_by_others(name: str, path: Path) -> CheckResult | None:
    """Whoever may write here says what runs as this user."""
    found = path.stat()
    if found.st_uid not in {os.getuid(), 0}:
        return problem(name, f"{plain(str(path))} belongs to another user", f"chown {os.getuid()} {_quoted(path)}")
    if found.st_mode & _OTHERS_WRITE:
        return problem(name, f"{plain(str(path))} may be written by others", f"chmod go-w {_quoted(path)}")
    return None


def _quoted(path: Path) -> str:
    return plain(shlex.quote(str(path)))
