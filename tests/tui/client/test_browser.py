"""The program that opens URLs: which it is, when there is one, and what it is given."""

import sys
from pathlib import Path

import pytest

from tui.client import browser

pytestmark = pytest.mark.skipif(sys.platform == "darwin", reason="macOS has another program, and needs no display")
URL = "https://forge/x?a=$(id)&b='"


@pytest.fixture
def opener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that writes down its arguments, on a machine with a display."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    program = tmp_path / "xdg-open"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/arguments\n')
    program.chmod(0o755)
    return program


def test_the_url_is_one_argument(opener: Path) -> None:
    assert browser.open_in_browser(URL)
    assert (opener.parent / "arguments").read_text("utf-8") == f"{URL}\n"


def test_a_program_that_fails_opened_nothing(opener: Path) -> None:
    opener.write_text("#!/bin/sh\nexit 3\n")
    assert not browser.open_in_browser(URL)


def test_a_program_that_stays_has_opened_it(opener: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "ANSWER_SECONDS", 0.05)
    opener.write_text("#!/bin/sh\nexec sleep 0.5\n")
    assert browser.open_in_browser(URL)


def test_where_nothing_can_be_opened(opener: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = {"PATH": str(opener.parent), "WAYLAND_DISPLAY": "wayland-0"}
    assert browser.find_opener(shown) == str(opener)
    assert browser.find_opener({**shown, "SSH_CONNECTION": "a 1 b 22"}) is None
    assert browser.find_opener({**shown, "WAYLAND_DISPLAY": ""}) is None
    assert browser.find_opener({**shown, "PATH": "/nonexistent"}) is None
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not browser.open_in_browser(URL)
