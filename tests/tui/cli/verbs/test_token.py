"""`stitcher token new`: a token and its entry, printed, or appended to a file that otherwise stays as it is."""

import hashlib
import json
import os
import tomllib
from pathlib import Path

import pytest

from stitcherd.config.load import load_settings
from stitcherd.configuration import SUPPORTED_KINDS
from tui.__main__ import main

FILE = """\
# mine
[http]
listen = "127.0.0.1:9000"   # a comment

[[tokens]]
name = "old"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
permissions = ["jobs:read"]"""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "stitcherd.toml"
    path.write_text(FILE)
    path.chmod(0o640)
    return path


def token(*words: str, config: Path) -> int:
    return main(["token", "new", *words, "--config", str(config)])


def test_the_lines_that_are_printed_are_an_entry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert token("ci", "--permission", "jobs:write", "--workspace", "lab", config=tmp_path) == 0
    out, err = capsys.readouterr()
    [entry] = tomllib.loads(err.partition("\n\n")[2])["tokens"]
    digest = hashlib.sha256(out.strip().encode()).hexdigest()
    assert entry == {"name": "ci", "sha256": digest, "workspace": "lab", "permissions": ["jobs:write"]}
    assert list(tmp_path.iterdir()) == []


def test_an_entry_is_appended_and_nothing_else_changes(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert token("ci", "--write", config=settings.parent) == 0
    out, err = capsys.readouterr()
    assert settings.read_text().startswith(f"{FILE}\n\n[[tokens]]\n")
    assert settings.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in settings.parent.iterdir()] == [settings.name]
    old, new = load_settings(settings.parent, SUPPORTED_KINDS).tokens
    assert (old.name, new.name, new.permissions) == ("old", "ci", frozenset({"jobs:read"}))
    assert new.sha256 == hashlib.sha256(out.strip().encode()).hexdigest()
    assert f"restart the daemon, which then knows it by these lines, now in {settings}:" in err
    assert err.partition("\n\n")[2] in settings.read_text()


def test_what_was_written_is_in_the_document(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert token("ci", "--write", "--json", config=settings.parent) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["written"] == str(settings)
    assert load_settings(settings.parent, SUPPORTED_KINDS).tokens[1].sha256 == document["sha256"]
    assert token("other", "--json", config=settings.parent) == 0
    assert json.loads(capsys.readouterr().out)["written"] is None


def test_the_file_behind_a_link_is_changed_with_the_ends_of_its_lines(settings: Path, tmp_path: Path) -> None:
    settings.write_bytes(b"[http]\r\nhosts = []\r\n")
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "stitcherd.toml"
    link.symlink_to(settings)
    assert token("ci", "--write", config=link.parent) == 0
    assert link.is_symlink()
    assert settings.read_bytes().startswith(b"[http]\r\nhosts = []\r\n\n[[tokens]]\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "there is no stitcherd.toml in"),
        ('[[tokens]]\nname = "ci"\n', "has a token ci already"),
        ("[http\n", "stitcherd.toml is not valid"),
        ("tokens = []\n", "nothing can be appended to the tokens"),
        ("tokens = 1\n", "are no tables [[tokens]]"),
        ("[tokens]\nci = 1\n", "are no tables [[tokens]]"),
        ("\udcff", "is not in UTF-8"),
    ],
)
def test_where_nothing_can_be_appended_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, said: str
) -> None:
    path = tmp_path / "stitcherd.toml"
    if text is not None:
        path.write_bytes(os.fsencode(text))
    assert token("ci", "--write", config=tmp_path) == 2
    out, err = capsys.readouterr()
    assert (out, said in err) == ("", True), err
    assert (os.fsdecode(path.read_bytes()) if text is not None else path.exists()) == (text or False)
    assert [each.name for each in tmp_path.iterdir()] == ([path.name] if text is not None else [])


def test_a_failed_replacement_leaves_the_file(
    settings: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    assert token("ci", "--write", config=settings.parent) == 2
    assert "stitcherd.toml cannot be changed: No space left on device" in capsys.readouterr().err
    assert settings.read_text() == FILE
    assert list(settings.parent.iterdir()) == [settings]


@pytest.mark.parametrize("words", [("two words",), ("",), ("ci", "--workspace", "a\tb")])
def test_a_name_is_one_word(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    assert token(*words, config=tmp_path) == 2
    assert "is not one word" in capsys.readouterr().err
