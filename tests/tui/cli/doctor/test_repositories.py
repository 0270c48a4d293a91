"""The check of the branches of local repositories."""

import subprocess
from pathlib import Path

import pytest

from shared.checks import CheckResult, CheckState
from tui.cli.doctor.repositories import check_repositories
from tui.cli.doctor.settings import SettingsSummary

DIGITS = "5b1f7f3a1c9d"


def repository(path: Path, *branches: str) -> None:
    subprocess.run(["git", "init", "-q", "--bare", str(path)], check=True)
    tree = subprocess.run(
        ["git", "-C", str(path), "hash-object", "-t", "tree", "-w", "/dev/null"], check=True, capture_output=True
    ).stdout.strip()
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    commit = subprocess.run(
        ["git", "-C", str(path), *identity, "commit-tree", "-m", "first", tree], check=True, capture_output=True
    ).stdout.strip()
    for branch in branches:
        subprocess.run(["git", "-C", str(path), "update-ref", f"refs/heads/{branch}", commit], check=True)


def check(*clones: str) -> list[CheckResult]:
    return list(check_repositories(SettingsSummary({}, {}, (), "127.0.0.1:1", (), clones)))


@pytest.mark.parametrize("branch", ["stitcher", f"stitcher/{DIGITS}/more", f"stitcher/{DIGITS}/a/b"])
@pytest.mark.parametrize("form", ["{}", "file://{}", "{}/../{{name}}.git"])
def test_a_branch_that_excludes_those_of_jobs_is_a_warning(tmp_path: Path, branch: str, form: str) -> None:
    path = tmp_path / "api.git"
    repository(path, "main", branch)
    (result,) = check(form.format(path).replace("api.git/../", ""))
    assert (result.state, result.detail) == (
        CheckState.WARNING,
        f"{path}: branch {branch} excludes the branches stitcher/… that jobs publish",
    )
    assert f"git -C {path} branch -m {branch} NEW" in (result.remedy or "")


def test_other_branches_are_fine(tmp_path: Path) -> None:
    repository(tmp_path / "api.git", "main", f"stitcher/{DIGITS}", "stitchers", "my/stitcher", "stitcher/old/notes")
    (tmp_path / "no-repository.git").mkdir()
    (result,) = check(f"{tmp_path}/{{name}}.git", "https://forge.example/{owner}/{name}.git", "git@forge.example:a/b")
    assert (result.state, "no branch of 1 on this machine" in result.detail) == (CheckState.OK, True)


def test_a_path_without_a_repository_is_a_warning(tmp_path: Path) -> None:
    repository(tmp_path / "outer" / ".git", "stitcher")
    (tmp_path / "outer" / "inner").mkdir()
    inner, missing = check(str(tmp_path / "outer" / "inner"), str(tmp_path / "missing"))
    assert (inner.state, "not a git repository" in inner.detail) == (CheckState.WARNING, True)
    assert (missing.state, "No such file or directory" in missing.detail) == (CheckState.WARNING, True)


def test_without_local_repositories_nothing_is_reported() -> None:
    assert check("https://forge.example/a/b") == []
