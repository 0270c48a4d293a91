"""Tests which changes of a tree can be reverted while others stay."""

import pytest

from stitcherd.git.tree_changes import (
    NO_MODE,
    TreeChange,
    TreeEntry,
    parse_changes,
    reverting_entries,
    without_conflicts,
)

NOTHING = TreeEntry(NO_MODE, "0" * 40)
OLD, NEW = TreeEntry("100644", "a" * 40), TreeEntry("100755", "b" * 40)
ADDED, DELETED, CHANGED = TreeChange(NOTHING, NEW), TreeChange(OLD, NOTHING), TreeChange(OLD, NEW)


def test_a_raw_diff_is_parsed() -> None:
    raw = f":100644 100755 {'a' * 40} {'b' * 40} M\0odd\t\n name\0:000000 100755 {'0' * 40} {'b' * 40} A\0n\0"
    assert parse_changes(raw.encode()) == {b"odd\t\n name": CHANGED, b"n": ADDED}
    assert parse_changes(b"") == {}
    with pytest.raises(ValueError, match=r"."):
        parse_changes(b"nonsense\0")


def test_removals_come_first_to_make_room() -> None:
    lines = reverting_entries({b"d": DELETED, b"d/x": ADDED}).split(b"\0")
    assert lines == [f"{NO_MODE} {'0' * 40}\td/x".encode(), f"100644 {'a' * 40}\td".encode(), b""]


def test_a_file_does_not_come_back_below_or_above_what_another_made() -> None:
    changes = {b"d": DELETED, b"d/x": ADDED, b"d/y": ADDED, b"e/f/g": DELETED, b"e": ADDED, b"z": CHANGED}
    assert set(without_conflicts({b"d", b"d/x", b"z"}, changes)) == {b"d/x", b"z"}, "d/y needs the directory d"
    assert set(without_conflicts({b"d", b"d/x", b"d/y"}, changes)) == {b"d", b"d/x", b"d/y"}
    assert set(without_conflicts({b"e/f/g"}, changes)) == set(), "e is a file now"
    assert set(without_conflicts({b"e/f/g", b"e"}, changes)) == {b"e/f/g", b"e"}
