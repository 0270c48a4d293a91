"""The man pages are those of the parsers, and a formatter has nothing to say against them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from stitcherd.__main__ import build_parser
from tools.man_pages import DIRECTORY, PAGES
from tui.cli.verbs import VERBS

LINTERS = [("mandoc", "-Tlint", "-Wwarning"), ("groff", "-man", "-ww", "-z"), ("man", "--warnings", "-l")]


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_up_to_date(name: str) -> None:
    assert (DIRECTORY / name).read_text("utf-8") == PAGES[name](), "run: make man"


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("linter", LINTERS, ids=[linter[0] for linter in LINTERS])
def test_a_formatter_has_no_warnings(linter: tuple[str, ...], name: str, tmp_path: Path) -> None:
    if shutil.which(linter[0]) is None:
        pytest.skip(f"there is no {linter[0]}")
    done = subprocess.run([*linter, DIRECTORY / name], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_each_verb_and_each_option_is_there() -> None:
    page = PAGES["stitcher.1"]()
    assert [verb for verb in VERBS if f'.SS "stitcher {verb}"\n' not in page] == []
    assert '.SS "stitcher deliveries replay"\n' in page
    assert "\n.B \\-\\-non\\-interactive\n" in page
    daemon = PAGES["stitcherd.1"]()
    for option in ("config DIR", "check", "version"):
        assert f"\n.B \\-\\-{option}\n" in daemon
        assert f"--{option}" in build_parser().format_help()
