"""Wheel and sdist, installed by pip, pipx and uv into empty home directories: both programs run from there."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from types import MappingProxyType

import pytest

from shared import VERSION
from tests.e2e.harness import ROOT

LIMIT = 120  # seconds, for each command

Variables = Mapping[str, str]
Install = Callable[[Path, Path, Variables], Path]  # a package into a home directory; returns where the programs are


def run(*argv: str | Path, home: Path, variables: Variables = MappingProxyType({}), code: int = 0) -> str:
    """Run a command in `home` with no other variables than these; return its output."""
    environ = {"HOME": str(home), "PATH": "/usr/local/bin:/usr/bin:/bin", **variables}
    done = subprocess.run(
        list(map(str, argv)), cwd=home, env=environ, capture_output=True, text=True, check=False, timeout=LIMIT
    )
    assert done.returncode == code, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """A directory with the sdist, a wheel that was built from it, and the wheels of all that they need."""
    directory = tmp_path / "dist"
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(directory), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=LIMIT)
    # hatchling builds the sdist once more where it is installed, and pipx wants a pip of its own.
    needs = [*directory.glob("*.whl"), "hatchling", "pip"]
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--retries", "1", "--dest", directory, *needs]
    done = subprocess.run(list(map(str, download)), capture_output=True, text=True, check=False, timeout=LIMIT)
    if "Failed to establish a new connection" in done.stderr:
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0, done.stderr
    return directory


def by_pip(package: Path, home: Path, offline: Variables) -> Path:
    run(sys.executable, "-m", "venv", "stitcher", home=home)
    run("stitcher/bin/pip", "install", "--quiet", package, home=home, variables=offline)
    return home / "stitcher" / "bin"


def by_pipx(package: Path, home: Path, offline: Variables) -> Path:
    python = {"PIPX_DEFAULT_PYTHON": sys.executable, "PIPX_DEFAULT_BACKEND": "pip"}
    run(sys.executable, "-m", "pipx", "install", package, home=home, variables={**offline, **python})
    return home / ".local" / "bin"


def by_uv(package: Path, home: Path, offline: Variables) -> Path:
    install = ("tool", "install", "--offline", "--no-index", "--python", sys.executable)
    run(sys.executable, "-m", "uv", *install, package, home=home, variables=offline)
    return home / ".local" / "bin"


@pytest.mark.skipif(find_spec("ensurepip") is None, reason="needs venv: apt-get install python3-venv")
def test_both_programs_run_wherever_they_were_installed(dist: Path) -> None:
    (wheel,) = dist.glob("stitcher-*.whl")
    (sdist,) = dist.glob("stitcher-*.tar.gz")
    offline = {"PIP_NO_INDEX": "1", "PIP_NO_COMPILE": "1", "PIP_FIND_LINKS": str(dist), "UV_FIND_LINKS": str(dist)}
    ways: dict[Install, Path] = {by_pip: sdist, by_pipx: wheel, by_uv: wheel}
    for install, package in ways.items():
        with TemporaryDirectory(prefix="home-") as place:  # a short path: the socket is below it
            home = Path(place)
            programs = install(package, home, offline)
            assert run(programs / "stitcherd", "--version", home=home) == f"stitcherd {VERSION}\n"
            assert run(programs / "stitcher", "version", home=home).startswith(f"stitcher {VERSION}\n")
            answers = ("--forge", "github", "--agent", "sh", "--allow", "octocat")
            run(programs / "stitcher", "init", "--non-interactive", *answers, home=home)
            assert "are valid" in run(programs / "stitcherd", "--check", home=home)
            if install is by_pipx:
                assert (home / ".local" / "share" / "man" / "man1" / "stitcherd.1").is_file()
                demo = run(programs / "stitcher", "demo", home=home, variables={"TMPDIR": gettempdir()})
                assert "checks passed" in demo  # of both programs, as they were installed
