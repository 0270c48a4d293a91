"""What the user selected last in the full screen."""

from pathlib import Path

from tui.client.preferences import THEME_FILE, load_theme, save_theme


def test_a_theme_is_kept(tmp_path: Path) -> None:
    assert load_theme(tmp_path) == ""
    save_theme(tmp_path / "new", "nord")
    save_theme(tmp_path / "new", "gruvbox")
    assert load_theme(tmp_path / "new") == "gruvbox"
    assert [file.name for file in (tmp_path / "new").iterdir()] == [THEME_FILE]


def test_a_file_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    (tmp_path / THEME_FILE).write_bytes(b"\xff")
    assert load_theme(tmp_path) == ""
