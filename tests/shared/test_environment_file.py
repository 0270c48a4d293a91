"""The environment file: what of it counts, and what it must not do."""

from pathlib import Path

import pytest

from shared.environment_file import UnreadableEnvironment, read_environment


def test_the_variables_are_read_as_systemd_reads_them(tmp_path: Path) -> None:
    lines = [
        "# GITHUB_TOKEN=in-a-comment",
        "; OTHER=too",
        "",
        "GITHUB_TOKEN=abc=def",
        "  QUOTED = 'a b' ",
        'EMPTY=""',
        "NOT A NAME=x",
        "no assignment",
    ]
    (tmp_path / "environment").write_text("\n".join(lines))
    assert read_environment(tmp_path) == {"GITHUB_TOKEN": "abc=def", "QUOTED": "a b", "EMPTY": ""}


def test_a_missing_file_has_none_and_an_unreadable_one_is_an_error(tmp_path: Path) -> None:
    assert read_environment(tmp_path) == {}
    (tmp_path / "environment").mkdir()
    with pytest.raises(UnreadableEnvironment, match="cannot be read: Is a directory"):
        read_environment(tmp_path)
