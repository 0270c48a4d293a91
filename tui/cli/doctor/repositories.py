"""Checks of the configured repositories on this machine: no branch may exclude those that jobs publish."""

import glob
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from shared.checks import CheckResult, ok, warning
from tui.cli.doctor.settings import SettingsSummary
from tui.text.plain import plain

_GIT_TIMEOUT = 5.0  # seconds for the branches of one repository
_REPOSITORIES_MAX = 100  # more than these that a pattern stands for are not looked at
_NAME = "repositories"
_LOOK = "look at it with: git -C {} for-each-ref"
_PLACEHOLDER = re.compile(r"\{(?:owner|name)\}")
_EXCLUDING = re.compile(r"stitcher|stitcher/[0-9a-f]{12}/.+")  # jobs publish stitcher/<last 12 digits of the id>


def check_repositories(settings: SettingsSummary) -> Iterator[CheckResult]:
    """Check the branches of each repository that `clone` names by a path or a file URL."""
    paths = dict.fromkeys(path for clone in settings.clones for path in _local_paths(clone))
    failures = [result for path in paths for result in _branch_results(path)]
    yield from failures
    if paths and not failures:
        yield ok(_NAME, f"no branch of {len(paths):,} on this machine excludes those that jobs publish")


def _local_paths(clone: str) -> list[Path]:
    """Return the repositories that `clone` stands for; `{owner}` and `{name}` stand for all that are there."""
    if clone.startswith("file:"):
        clone = unquote(urlsplit(clone).path)
    if not clone.startswith("/"):
        return []
    parts = _PLACEHOLDER.split(clone)
    if len(parts) == 1:
        return [Path(clone)]
    found = sorted(Path("/").glob("*".join(map(glob.escape, parts)).lstrip("/")))
    return [path for path in found if (path / "HEAD").exists() or (path / ".git").exists()][:_REPOSITORIES_MAX]


def _branch_results(path: Path) -> Iterator[CheckResult]:
    shown, quoted = plain(str(path)), plain(shlex.quote(str(path)))
    argv = ["git", "-C", str(path), "for-each-ref", "--format=%(refname:lstrip=2)"]
    try:
        done = subprocess.run(
            [*argv, "refs/heads/stitche[r]", "refs/heads/stitcher/*/**"],
            env={**os.environ, "GIT_CEILING_DIRECTORIES": str(path.parent), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_GIT_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        yield warning(_NAME, f"{shown}: {plain(str(error))}", _LOOK.format(quoted))
        return
    if done.returncode:
        reason = (done.stderr.decode("utf-8", "replace").strip().splitlines() or ["git failed"])[-1]
        yield warning(_NAME, f"{shown}: {plain(reason)}", _LOOK.format(quoted))
        return
    for branch in filter(_EXCLUDING.fullmatch, done.stdout.decode("utf-8", "replace").splitlines()):
        detail = f"{shown}: branch {plain(branch)} excludes the branches stitcher/… that jobs publish"
        name = plain(shlex.quote(branch))
        yield warning(_NAME, detail, f"rename it: git -C {quoted} branch -m {name} NEW, or delete it")
