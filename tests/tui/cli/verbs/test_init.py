"""`stitcher init`: writes a valid, private configuration once."""

from pathlib import Path

import pytest

from stitcherd.config.load import load_settings
from stitcherd.daemon import SUPPORTED_KINDS
from stitcherd.rails import load as rails_load
from tests.stitcherd.rails.contexts import CONTEXT
from tui.__main__ import main


def test_both_files_are_written_and_valid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = tmp_path / "stitcher"
    assert main(["init", "--config", str(directory)]) == 0
    assert capsys.readouterr().out.count("wrote") == 2
    assert load_settings(directory, SUPPORTED_KINDS).warnings == ()
    assert rails_load.load_rails(directory / "rails.yaml", CONTEXT).profiles["weaver"].sandbox == "bwrap"
    for path in (directory, *directory.iterdir()):
        assert path.stat().st_mode & 0o077 == 0


def test_existing_files_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rails.yaml").write_text("mine")
    assert main(["init", "--config", str(tmp_path)]) == 0
    assert (tmp_path / "rails.yaml").read_text() == "mine"
    assert capsys.readouterr().out.splitlines()[1].startswith("kept")


def test_an_unwritable_place_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["init", "--config", str(tmp_path / "file")]) == 2
    assert f"{tmp_path / 'file'} cannot be written" in capsys.readouterr().err


def test_the_unit_names_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "stitcherd"
    program.parent.mkdir()
    program.touch(mode=0o700)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("STITCHER_CONFIG_DIR", raising=False)
    assert main(["init", "--systemd", "--json"]) == 0
    unit = tmp_path / "xdg" / "systemd" / "user" / "stitcherd.service"
    assert f"ExecStart={program}\n" in unit.read_text()
