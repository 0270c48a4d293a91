"""`stitcher completion`: which daemon it asks, and without one."""

from pathlib import Path

import pytest

from tests.tui.cli.examine import Complete
from tests.tui.fake_api import FakeApi
from tui.__main__ import main
from tui.cli.verbs import completion as verb


def test_an_unreachable_daemon_is_ignored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nobody = f"--socket={tmp_path / 'none'}"
    assert main(["completion", f"--words={nobody}\x1fshow\x1f"]) == 0
    assert main(["completion", f"--words=--socket\x1f/{'x' * 200}\x1fshow\x1f"]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("words\nwords\n", "")


def test_the_line_selects_the_daemon(
    completion: Complete, api: FakeApi, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verb, "_TIMEOUT", 30.0)
    assert main(["completion", f"--words=--socket\x1f{api.path}\x1fshow\x1f7"]) == 0
    assert capsys.readouterr().out == "words\n7f3a1c9d\tcompleted fix octo-org/api#479\n"


def test_a_shell_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion"]) == 2
    assert "bash, zsh, fish" in capsys.readouterr().err
