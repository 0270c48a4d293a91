"""Checks of the configuration files: their validity, who can write them, and the secrets that they refer to."""

import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from shared.checks import CheckResult, info, ok, problem, warning
from shared.environment_file import ENVIRONMENT_FILE
from shared.locations import RAILS_FILE, SETTINGS_FILE
from tui.cli.doctor.daemon_checks import run_module
from tui.cli.doctor.settings import SecretSource, SettingsSummary
from tui.text.jobs import counted
from tui.text.plain import plain

_CHECK_TIMEOUT = 30.0  # seconds for `stitcherd --check`, which usually takes half a second
_SECRETS = "secrets"
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def check_config_directory(config: Path) -> Iterator[CheckResult]:
    """Check the directory of both files."""
    name, shown = "configuration", plain(str(config))
    if not config.is_dir():
        yield problem(name, f"there is no directory {shown}", "start with: stitcher init")
        return
    yield _writable_by_others(name, config) or ok(name, shown)


def check_files(config: Path, settings: SettingsSummary) -> Iterator[CheckResult]:
    """Check both files with `stitcherd --check`; variables for secrets that are unset here get a placeholder."""
    if not config.is_dir():
        return  # check_config_directory reports it
    done = run_module("stitcherd", ("--check", "--config", str(config)), settings, _CHECK_TIMEOUT)
    if done is None:
        yield problem(SETTINGS_FILE, f"stitcherd --check did not end within {_CHECK_TIMEOUT:g} s", "run it yourself")
        return
    lines = [plain(line) for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    of_rails = [line for line in lines if line.startswith(f"{RAILS_FILE}:")]
    of_settings = [line for line in lines if line.startswith(f"{SETTINGS_FILE}:")]
    failed = done.returncode != 0
    if failed and not of_rails and not of_settings:
        detail = lines[-1] if lines else f"ended with exit code {done.returncode}"
        yield problem("stitcherd --check", detail, "run it yourself")
        return
    for line in lines:
        if line not in of_rails and line not in of_settings:
            yield warning("stitcherd --check", line, "check whether this is intended")
    yield from _file_results(config / SETTINGS_FILE, of_settings, failed=failed and not of_rails)
    if failed and not of_rails:
        yield info(RAILS_FILE, f"not checked until {SETTINGS_FILE} is valid")
    else:
        yield from _file_results(config / RAILS_FILE, of_rails, failed=failed)


def _file_results(path: Path, messages: list[str], *, failed: bool) -> Iterator[CheckResult]:
    for line in messages:
        if failed:
            yield problem(path.name, line, f"edit {plain(str(path))}, then run: stitcherd --check")
        else:
            yield warning(path.name, line, "check whether this is intended")
    if not path.exists():
        if not messages:
            detail = "does not exist: no webhook is accepted and no job can run"
            yield warning(path.name, detail, "start with: stitcher init")
    elif writable := _writable_by_others(path.name, path):
        yield writable
    elif not messages:
        yield ok(path.name, "valid")


def check_secrets(config: Path, settings: SettingsSummary, *, daemon_runs: bool) -> Iterator[CheckResult]:
    """Check whether each secret exists and who can read it, without reading it."""
    unset = settings.unset
    results = [
        _unset_result(secret, daemon_runs=daemon_runs) if secret in unset else _secret_file_result(secret)
        for secret in dict.fromkeys(settings.secrets)
    ]
    if (config / ENVIRONMENT_FILE).exists():
        results.append(_private_file_result(str(config / ENVIRONMENT_FILE), config / ENVIRONMENT_FILE))
    failures = [result for result in results if result is not None]
    yield from failures
    if settings.secrets and not failures:
        yield ok(_SECRETS, f"{counted(len(set(settings.secrets)), 'secret')} set, none readable by others")


def _unset_result(secret: SecretSource, *, daemon_runs: bool) -> CheckResult:
    detail = f"{plain(secret.key)}: {plain(secret.env or '')} is not set where the doctor runs"
    if daemon_runs:
        return warning(_SECRETS, detail, "the running daemon has read it; set it wherever stitcherd is started next")
    remedy = f"write it into the file {ENVIRONMENT_FILE} beside {SETTINGS_FILE}, or set it where stitcherd is started"
    return problem(_SECRETS, detail, remedy)


def _secret_file_result(secret: SecretSource) -> CheckResult | None:
    return _private_file_result(f"{secret.key}: {secret.file}", secret.file) if secret.file else None


def _private_file_result(name: str, file: Path) -> CheckResult | None:
    shown = plain(name)
    try:
        mode = file.stat().st_mode
    except OSError as error:
        return problem(_SECRETS, f"{shown}: {error.strerror}", "create it with the secret, readable by you alone")
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        return warning(_SECRETS, f"{shown} is open to every user of this machine", f"chmod 600 {_quoted(file)}")
    if not os.access(file, os.R_OK):
        return problem(_SECRETS, f"{shown} is not readable by you", f"chown {os.getuid()} {_quoted(file)}")
    return None


def _writable_by_others(name: str, path: Path) -> CheckResult | None:
    """Return a problem if another user can write here, and so decide what runs as this user."""
    found = path.stat()
    if found.st_uid not in {os.getuid(), 0}:
        return problem(name, f"{plain(str(path))} belongs to another user", f"chown {os.getuid()} {_quoted(path)}")
    if found.st_mode & _OTHERS_WRITE:
        return problem(name, f"{plain(str(path))} is writable by others", f"chmod go-w {_quoted(path)}")
    return None


def _quoted(path: Path) -> str:
    return plain(shlex.quote(str(path)))
