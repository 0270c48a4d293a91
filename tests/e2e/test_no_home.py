"""Both programs for a user without HOME and without an entry in passwd: they name what to set, and write nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.harness import ROOT
from tests.e2e.http_client import TIMEOUT

SOURCES = '[sources.github]\nkind = "github"\nsecrets = [{file = "~/secret"}]\n'
REPOSITORIES = '[repositories."octo-org/*"]\nclone = "~/{name}.git"\n'
RAILS = "version: 1\nprofiles:\n  p: {capabilities: [], executor: a, sandbox: bwrap, mounts: [%s]}\n"
HOMELESS = "import os, sys; os.getuid = lambda: 54321; from {} import main; sys.exit(main())"


def run(cwd: Path, program: str, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a program as a user without a home directory, with only these variables."""
    argv = [sys.executable, "-c", HOMELESS.format(f"{program}.__main__"), *words]
    given = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environ}
    return subprocess.run(argv, cwd=cwd, env=given, capture_output=True, text=True, timeout=TIMEOUT, check=False)


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}], ids=["unset", "empty"])
@pytest.mark.parametrize(
    "argv",
    [("stitcherd",), ("stitcherd", "--check"), ("tui", "ls"), ("tui", "init"), ("tui", "doctor"), ("tui", "show", "x")],
    ids=" ".join,
)
def test_without_a_home_directory_both_programs_name_what_to_set(
    tmp_path: Path, argv: tuple[str, ...], environ: dict[str, str]
) -> None:
    ran = run(tmp_path, *argv, **environ)
    assert ran.returncode == 2, ran.stderr
    assert "no home directory is known for uid 54321: set HOME, or XDG_CONFIG_HOME and XDG_STATE_HOME" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[daemon]\nstate_dir = "~/state"\n', None),
        ('[daemon]\nsocket = "~/s"\n', None),
        (SOURCES, 3),
        (REPOSITORIES, 2),
    ],
    ids=["state_dir", "socket", "secret", "clone"],
)
def test_a_tilde_in_the_settings_is_refused(tmp_path: Path, text: str, line: int | None) -> None:
    (tmp_path / "stitcherd.toml").write_text(text)
    given = {"XDG_STATE_HOME": str(tmp_path / "xdg")}
    ran = run(tmp_path, "stitcherd", "--config", str(tmp_path), **given)
    assert ran.returncode == 2, ran.stderr
    assert ran.stderr.startswith(f"stitcherd.toml:{line}: " if line else "no home directory")
    assert "no home directory is known for uid 54321: set HOME" in ran.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["stitcherd.toml"]


def test_a_tilde_in_the_rails_is_refused_and_other_mounts_are_not(tmp_path: Path) -> None:
    (tmp_path / "stitcherd.toml").touch()
    given = {"XDG_STATE_HOME": str(tmp_path / "xdg")}
    for mount, code in (("~/tools", 2), ("/opt", 0)):
        (tmp_path / "rails.yaml").write_text(RAILS % mount)
        ran = run(tmp_path, "stitcherd", "--check", "--config", str(tmp_path), **given)
        assert ran.returncode == code, ran.stderr
        assert ("~/tools: no home directory is known" in ran.stderr) == (code == 2), ran.stderr
