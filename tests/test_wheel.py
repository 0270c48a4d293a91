"""The wheel contains everything that the programs need, and runs without a checkout."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build and unpack a wheel; its dependencies are those of the tests."""
    unpacked = tmp_path_factory.mktemp("wheel") / "unpacked"
    build_wheel(ROOT, unpacked.parent).extractall(unpacked)
    return unpacked


def build_wheel(source: Path, place: Path) -> zipfile.ZipFile:
    argv = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(place), str(source)]
    subprocess.run(argv, check=True, capture_output=True, cwd=place)
    (wheel,) = place.glob("*.whl")
    return zipfile.ZipFile(wheel)


def run(installed: Path, *argv: str) -> str:
    environ = {**os.environ, "PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"}
    return subprocess.run(
        [sys.executable, *argv], check=True, capture_output=True, text=True, cwd=installed.parent, env=environ
    ).stdout


def test_both_programs_start(installed: Path) -> None:
    assert run(installed, "-m", "stitcherd", "--version").startswith("stitcherd ")
    assert run(installed, "-m", "tui", "--version").startswith("stitcher ")


def test_the_shipped_files_are_found(installed: Path) -> None:
    found = run(installed, "-c", "from shared.locations import shipped_file; print(shipped_file('rails.yaml'))").strip()
    assert Path(found).is_relative_to(installed)
    assert Path(found).read_text() == (ROOT / "config" / "rails.yaml").read_text()


def test_the_wheel_has_every_shipped_file(installed: Path) -> None:
    here = {path.name for path in (ROOT / "config").iterdir()}
    assert here == {path.name for path in (installed / "stitcherd" / "defaults").iterdir()}


def test_the_man_pages_are_installed_beside_the_programs(installed: Path) -> None:
    (data,) = installed.glob("stitcher-*.data/data")
    pages = {path.relative_to(data).as_posix() for path in data.rglob("*") if path.is_file()}
    assert pages == {"share/man/man1/stitcher.1", "share/man/man1/stitcherd.1"}


def test_the_wheel_has_nothing_else(installed: Path) -> None:
    assert {path.name.partition("-")[0] for path in installed.iterdir()} == {"stitcherd", "tui", "shared", "stitcher"}


def test_the_image_is_built_from_all_that_the_wheel_needs(installed: Path, tmp_path: Path) -> None:
    copied: list[str] = []
    for words in re.findall(r"^COPY (?!--from)(.*)$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE):
        *sources, target = words.split()
        copied += sources
        for source in sources:
            (shutil.copytree if (ROOT / source).is_dir() else shutil.copy)(ROOT / source, tmp_path / target)
    known = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    assert known == set(copied)
    files = {path.relative_to(installed).as_posix() for path in installed.rglob("*") if path.is_file()}
    built = set(build_wheel(tmp_path, tmp_path).namelist())
    assert built == {file for file in files if "__pycache__" not in file}  # the other tests have run what is installed
